-- Is the function each of scripts about slots, with a fencing token. fence.lua comes before this.
local one = {largest = largest, micros = micros, granted = granted, refusal = refusal, remember = remember}
return one
