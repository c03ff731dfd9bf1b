-- wrk: GET of the address; "close" as the argument: over a new connection each time. What was counted, and the longest
-- time between two answers on whatever connection, comes as one line of JSON. Times are those of CLOCK_MONOTONIC.
-- 'asked' and 'answered' are counted here: wrk does not tell of a request whose connection ended before its answer.

local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long s; long ns; } bench_time;
    int clock_gettime(int clock, bench_time *ret);
]]
local time = ffi.new("bench_time")
local threads = {}

local function now_ms()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.s) * 1000 + tonumber(time.ns) / 1e6
end

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    local headers = {}
    if arguments[1] == "close" then
        headers["Connection"] = "close"
    end
    local get = wrk.format("GET", nil, headers)
    asked, answered = -1, 0 -- wrk asks for one before it begins
    last_ms, gap_ms, turned_ms, who = 0, 0, 0, nil
    request = function()
        asked = asked + 1
        return get
    end
end

function response(status, headers, body)
    local now = now_ms()
    if last_ms > 0 and now - last_ms > gap_ms then
        gap_ms = now - last_ms
    end
    if who ~= nil and body ~= who and turned_ms == 0 then
        turned_ms = now -- the first answer of another server
    end
    who = who or body
    last_ms, answered = now, answered + 1
end

function done(summary, latency)
    local errors, thread = summary.errors, threads[1]
    local line = '\n{"us":%d,"p50_us":%d,"errors":%d,"asked":%d,"answered":%d,"gap_ms":%.3f,"turned_ms":%.3f}\n'
    io.write(line:format(summary.duration, latency:percentile(50), errors.connect + errors.timeout + errors.status,
        thread:get("asked"), thread:get("answered"), thread:get("gap_ms"), thread:get("turned_ms")))
end
