/* Access tokens that are known by their record. One row each, written before the token leaves and
 * gone soon after it has expired (store_purge.c); what takes tokens back in between are
 * revocations, as for all others. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

enum err store_token_record(struct db *db, const struct token_record *record)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_token_insert, &s);

	if (e)
		return e;
	db_bind_bytes(s, 1, record->hash, sizeof(record->hash));
	store_bind_text(s, 2, record->kid);
	db_bind_str(s, 3, record->claims);
	db_bind_i64(s, 4, record->exp);
	return db_run(s, NULL);
}

enum err store_token_get(struct db *db, struct arena *a, const unsigned char hash[TOKEN_HASH_LEN],
			 struct token_record *ret_record)
{
	struct token_record record;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_token_get, &s);

	if (e)
		return e;
	db_bind_bytes(s, 1, hash, TOKEN_HASH_LEN);
	e = store_one(s);
	if (e)
		return e;
	memcpy(record.hash, hash, sizeof(record.hash));
	record.kid = store_text(a, s, 0);
	record.claims = store_text(a, s, 1);
	record.exp = db_i64(s, 2);
	db_end(s);
	if (arena_failed(a))
		return ERR_NOMEM;
	*ret_record = record;
	return ERR_OK;
}
