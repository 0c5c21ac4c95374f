-- Requests for wrk. Which ones: the environment's BENCH_KIND; what they need: BENCH_AUTH (Basic
-- credentials), BENCH_TOKEN, BENCH_TOKENS (a file of tokens, one a line),
-- BENCH_AUDIENCE.
local kind = os.getenv("BENCH_KIND")
local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }
local queue, first, last = {}, 1, 0

if os.getenv("BENCH_AUTH") then
	form["Authorization"] = "Basic " .. os.getenv("BENCH_AUTH")
end

function init()
	if kind == "refresh" or kind == "gateway" then
		for line in io.lines(os.getenv("BENCH_TOKENS")) do
			last = last + 1
			queue[last] = line
		end
	end
end

-- A refresh token may be used once, so each one waits in a queue for its answer's successor.
local function refresh()
	local token = queue[first]
	queue[first] = nil
	first = first + 1
	return wrk.format("POST", "/oauth2/token", form, "grant_type=refresh_token&refresh_token=" .. token)
end

-- Each of the tokens in its turn; one alone is the same question again and again.
local texts = {}
local function gateway()
	first = first % last + 1
	texts[first] = texts[first] or wrk.format("GET", "/gateway/verify?audience=" .. os.getenv("BENCH_AUDIENCE"),
		{ ["Authorization"] = "Bearer " .. queue[first] })
	return texts[first]
end

local fixed = {
	token = function()
		return wrk.format("POST", "/oauth2/token", form, "grant_type=client_credentials")
	end,
	introspect = function()
		return wrk.format("POST", "/oauth2/introspect", form, "token=" .. os.getenv("BENCH_TOKEN"))
	end,
	jwks = function()
		return wrk.format("GET", "/.well-known/jwks.json", {})
	end,
	password = function()
		return wrk.format("POST", "/oauth2/token", form,
			"grant_type=password&username=bench&password=" .. os.getenv("BENCH_TOKEN"))
	end,
}

if kind == "refresh" then
	request = refresh
	function response(status, headers, body)
		last = last + 1
		queue[last] = body:match('"refresh_token" *: *"([^"]*)"')
	end
elseif kind == "gateway" then
	request = gateway
else
	local text
	function request()
		text = text or fixed[kind]()
		return text
	end
end
