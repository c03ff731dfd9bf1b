-- wrk: GET of the address, or, with the arguments TOKEN and KEYS, PUT of a new value to one of so many keys
-- each time. What wrk counted comes as one line of JSON.

local function put(token, keys)
    local head = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\nAuthorization: Bearer " .. token ..
        "\r\nContent-Type: application/json\r\nContent-Length: "
    local count = 0
    return function()
        count = count + 1
        local body = '{"value":{"n":' .. count .. ',"text":"a value as long as most are"}}'
        return "PUT /v1/config/app/bench/" .. count % keys .. head .. #body .. "\r\n\r\n" .. body
    end
end

function init(arguments)
    if arguments[1] then
        request = put(arguments[1], tonumber(arguments[2]))
    else
        local get = wrk.format()
        request = function() return get end
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('\n{"requests":%d,"us":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,"broken":%d,"refused":%d}\n',
        summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
