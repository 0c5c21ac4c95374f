-- For how many seconds a gateway may keep a good answer about a token of this api; 0: not at all.
ALTER TABLE apis ADD COLUMN gateway_cache BIGINT NOT NULL DEFAULT 0;
