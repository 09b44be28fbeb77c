-- Is the function each of scripts about slots, without a fencing token.
local one = {}
return one
