-- Ends what a script about several locks does first with each of them: see the specs. held.lua
-- comes before this, and fence.lua where there is a fencing token.
local one = {held = held, largest = largest, micros = micros, granted = granted, refusal = refusal, remember = remember}
return one
