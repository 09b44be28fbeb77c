-- Is look.lua for locks with a wait queue. queue.lua comes before this.
local one = {held = held, largest = largest, micros = micros, granted = granted, refusal = refusal, remember = remember, last = last, head = head, waits = not held and not first, leaveFlag = leaveFlag, pass = pass}
return one
