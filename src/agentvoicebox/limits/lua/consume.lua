-- Take from several limits at once: from all of them, or from none.
-- KEYS: one hash per limit (all share one hash tag): total, oldest (slot), newest (slot), and slot number -> taken in it
-- ARGV: 1 the time in ms, or '' for the server's own clock, 2 slots in a window, 3 '1' to take regardless of the limits,
--       then three for each key: its limit, its slot's length in ms, the amount to take
-- Returns per key {taken in the window, ms until all is returned, ms to wait (0: it fits, -1: it never will)}.
-- The amount is only added: the work grows with the elapsed slots (each is visited once), never with the amount.
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local slots = tonumber(ARGV[2])
local limits, fits = {}, true

local function names(from, to)
    local list = {}
    for slot = from, to do list[#list + 1] = string.format('%d', slot) end
    return list
end

for index, key in ipairs(KEYS) do
    local at = 3 * index + 1
    local this = {limit = tonumber(ARGV[at]), width = tonumber(ARGV[at + 1]), amount = tonumber(ARGV[at + 2])}
    local kept = redis.call('HMGET', key, 'total', 'oldest', 'newest')
    this.slot = math.floor(now / this.width)
    this.total, this.oldest, this.newest = tonumber(kept[1]), tonumber(kept[2]), tonumber(kept[3])
    if this.newest and math.abs(this.newest - this.slot) > slots then -- all of it has expired (or a clock jumped)
        redis.call('DEL', key)
        this.total = nil
    end
    if not this.total then this.total, this.oldest, this.newest = 0, this.slot, this.slot end
    if this.newest > this.slot then this.slot = this.newest end -- a clock that stepped back returns nothing
    local oldest = this.slot - slots
    if this.oldest < oldest then
        local gone = names(this.oldest, oldest - 1)
        for _, taken in ipairs(redis.call('HMGET', key, unpack(gone))) do
            this.total = this.total - (tonumber(taken) or 0)
        end
        redis.call('HDEL', key, unpack(gone))
        this.oldest = oldest
        redis.call('HSET', key, 'total', string.format('%d', this.total), 'oldest', string.format('%d', oldest),
            'newest', string.format('%d', this.newest))
        redis.call('PEXPIRE', key, (slots + 2) * this.width)
    end
    this.is_over = this.amount > 0 and this.total + this.amount > this.limit
    if this.is_over then fits = false end
    limits[index] = this
end

local answers = {}
for index, key in ipairs(KEYS) do
    local this, wait = limits[index], 0
    if (fits or ARGV[3] == '1') and this.amount > 0 then
        this.total, this.newest = this.total + this.amount, this.slot
        redis.call('HINCRBY', key, string.format('%d', this.slot), string.format('%d', this.amount))
        redis.call('HSET', key, 'total', string.format('%d', this.total), 'oldest', string.format('%d', this.oldest),
            'newest', string.format('%d', this.newest))
        redis.call('PEXPIRE', key, (slots + 2) * this.width)
    elseif this.is_over and this.amount > this.limit then
        wait = -1
    elseif this.is_over then -- the slot whose end returns enough
        local needed, list = this.total + this.amount - this.limit, names(this.oldest, this.newest)
        for place, taken in ipairs(redis.call('HMGET', key, unpack(list))) do
            needed = needed - (tonumber(taken) or 0)
            if needed <= 0 then
                wait = math.max(1, (this.oldest + place - 1 + slots + 1) * this.width - now)
                break
            end
        end
    end
    local reset = 0
    if this.total > 0 then reset = math.max(0, (this.newest + slots + 1) * this.width - now) end
    answers[index] = {this.total, reset, wait}
end
return answers
