/* All SQL of the program, in one place, so that what must run on two engines can be read in one go.
 *
 * SQLite 3.40 and PostgreSQL 15 both take every statement (server/store/db.h says what portable
 * means). Names tell table and act. A statement is found again by its address, hence arrays and not
 * macros. Text compares by bytes: SQLite does so by default, a PostgreSQL database is made with the
 * collation C. */
#ifndef CHANCERY_SERVER_SQL_H
#define CHANCERY_SERVER_SQL_H

#define SQL static const char

/* ---- schema versions (server/store/migrate.h) ---- */

SQL sql_migrations_table[] =
	"CREATE TABLE IF NOT EXISTS migrations (number BIGINT NOT NULL PRIMARY KEY, "
	"name TEXT NOT NULL, checksum BYTEA NOT NULL, applied_at BIGINT NOT NULL)";
SQL sql_migration_list[] = "SELECT number, checksum FROM migrations ORDER BY number";
SQL sql_migration_insert[] =
	"INSERT INTO migrations (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";

/* ---- principals ---- */

SQL sql_principal_insert[] = "INSERT INTO principals (id, kind, created_at) VALUES ($1, $2, $3)";
SQL sql_principal_bury[] = "UPDATE principals SET deleted_at = $2 WHERE id = $1";

/* ---- clients ---- */

#define CLIENT_COLUMNS                                                                             \
	"id, name, disabled, auth_method, grants, scope, audiences, introspect, access_ttl, alg, " \
	"refresh_rotation, public_password, claims, created_at, updated_at, version"
SQL sql_client_insert[] = "INSERT INTO clients (" CLIENT_COLUMNS ") VALUES "
			  "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 1)";
SQL sql_client_get[] = "SELECT " CLIENT_COLUMNS " FROM clients WHERE id = $1";
SQL sql_client_list[] = "SELECT " CLIENT_COLUMNS
			" FROM clients WHERE id > $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4";
SQL sql_client_update[] =
	"UPDATE clients SET name = $2, disabled = $3, auth_method = $4, grants = $5, scope = $6, "
	"audiences = $7, introspect = $8, access_ttl = $9, alg = $10, refresh_rotation = $11, "
	"public_password = $12, claims = $13, updated_at = $14, version = version + 1 "
	"WHERE id = $1 AND ($15 = 0 OR version = $15)";
SQL sql_client_exists[] = "SELECT 1 FROM clients WHERE id = $1";
SQL sql_client_delete[] = "DELETE FROM clients WHERE id = $1";

#define SECRET_COLUMNS "id, label, kind, hash, created_at, expires_at, last_used_at"
/* The limit is part of the statement: no look before the act. */
SQL sql_secret_insert[] =
	"INSERT INTO client_secrets (client_id, " SECRET_COLUMNS ") "
	"SELECT c.id, $2, $3, $4, $5, $6, $7, $8 FROM clients c WHERE c.id = $1 "
	"AND (SELECT COUNT(*) FROM client_secrets s WHERE s.client_id = c.id) < $9";
SQL sql_secret_list[] =
	"SELECT " SECRET_COLUMNS
	" FROM client_secrets WHERE client_id = $1 ORDER BY created_at, id LIMIT $2";
SQL sql_secret_delete[] = "DELETE FROM client_secrets WHERE client_id = $1 AND id = $2";
SQL sql_secret_delete_all[] = "DELETE FROM client_secrets WHERE client_id = $1";
SQL sql_secret_used[] =
	"UPDATE client_secrets SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2";

/* ---- users ---- */

#define USER_COLUMNS                                                                               \
	"id, name, email, roles, disabled, password, claims, created_at, updated_at, version"
SQL sql_user_insert[] = "INSERT INTO users (" USER_COLUMNS ", name_key, email_key) VALUES "
			"($1, $2, $3, $4, $5, $6, $7, $8, $8, 1, $9, $10)";
SQL sql_user_get[] = "SELECT " USER_COLUMNS " FROM users WHERE id = $1";
SQL sql_user_by_name[] = "SELECT " USER_COLUMNS " FROM users WHERE name_key = $1";
SQL sql_user_by_email[] = "SELECT " USER_COLUMNS
			  " FROM users WHERE email_key = $1 ORDER BY id LIMIT 1";
SQL sql_user_list[] = "SELECT " USER_COLUMNS
		      " FROM users WHERE id > $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4";
SQL sql_user_update[] =
	"UPDATE users SET name = $2, email = $3, roles = $4, disabled = $5, claims = $6, "
	"updated_at = $7, name_key = $8, email_key = $9, version = version + 1 "
	"WHERE id = $1 AND ($10 = 0 OR version = $10)";
SQL sql_user_exists[] = "SELECT 1 FROM users WHERE id = $1";
SQL sql_user_password[] =
	"UPDATE users SET password = $2, updated_at = $3, version = version + 1 WHERE id = $1";
SQL sql_user_rehash[] = "UPDATE users SET password = $3 WHERE id = $1 AND password = $2";
SQL sql_user_delete[] = "DELETE FROM users WHERE id = $1";

/* ---- apis ---- */

#define API_COLUMNS                                                                                \
	"uri, slug, name, scope, alg, format, access_ttl, claims, disabled, created_at, "          \
	"updated_at, version, encryption_key, gateway_cache"
SQL sql_api_insert[] = "INSERT INTO apis (" API_COLUMNS ") VALUES "
		       "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1, $11, $12)";
SQL sql_api_list[] = "SELECT " API_COLUMNS " FROM apis ORDER BY uri";
SQL sql_api_get[] = "SELECT " API_COLUMNS " FROM apis WHERE slug = $1";
SQL sql_api_exists[] = "SELECT 1 FROM apis WHERE uri = $1";
SQL sql_api_slug_exists[] = "SELECT 1 FROM apis WHERE slug = $1";
SQL sql_api_update[] =
	"UPDATE apis SET name = $2, scope = $3, alg = $4, format = $5, access_ttl = $6, "
	"claims = $7, disabled = $8, updated_at = $9, encryption_key = $11, "
	"gateway_cache = $12, version = version + 1 "
	"WHERE slug = $1 AND ($10 = 0 OR version = $10) RETURNING uri";
SQL sql_api_delete[] = "DELETE FROM apis WHERE slug = $1 RETURNING uri";

#define API_SECRET_COLUMNS "kid, uri, sealed, created_at, sign_from, until"
/* In the order in which they sign; of two that began in one second the one that nothing follows is
 * the later. */
SQL sql_api_secret_list[] = "SELECT " API_SECRET_COLUMNS
			    " FROM api_secrets ORDER BY uri, sign_from, "
			    "CASE WHEN until = 0 THEN 1 ELSE 0 END, kid";
SQL sql_api_secret_withdraw[] = "DELETE FROM api_secrets WHERE uri = $1 AND sign_from > $2";
SQL sql_api_secret_follow[] =
	"UPDATE api_secrets SET until = $2 WHERE uri = $1 AND (until = 0 OR sign_from = "
	"(SELECT MAX(s.sign_from) FROM api_secrets s WHERE s.uri = $1))";
SQL sql_api_secret_insert[] = "INSERT INTO api_secrets (" API_SECRET_COLUMNS
			      ") SELECT $1, $2, $3, $4, $5, 0 "
			      "WHERE (SELECT COUNT(*) FROM api_secrets s WHERE s.uri = $2) < $6";
SQL sql_api_secret_delete[] = "DELETE FROM api_secrets WHERE uri = $1";

/* ---- logins ---- */

#define LOGIN_COLUMNS                                                                              \
	"id, seed, sid, client_id, user_id, scope, audience, amr, n, auth_time, created_at, "      \
	"expires_at, idle_until, rotated_at, retries, ended_at, end_reason"
SQL sql_login_insert[] = "INSERT INTO logins (" LOGIN_COLUMNS ") VALUES "
			 "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0, '')";
SQL sql_login_get[] = "SELECT " LOGIN_COLUMNS " FROM logins WHERE id = $1";
/* The compare-and-swap: `n` is both what is compared and what moves. */
SQL sql_login_rotate[] =
	"UPDATE logins SET n = n + 1, rotated_at = $3, retries = 0, idle_until = $4 "
	"WHERE id = $1 AND n = $2 AND ended_at = 0";
SQL sql_login_repeat[] =
	"UPDATE logins SET retries = retries + 1 WHERE id = $1 AND n = $2 AND ended_at = 0";
SQL sql_login_extend[] =
	"UPDATE logins SET idle_until = $3 WHERE id = $1 AND n = $2 AND ended_at = 0";
SQL sql_login_end[] =
	"UPDATE logins SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at = 0";
SQL sql_login_end_client[] =
	"UPDATE logins SET ended_at = $2, end_reason = $3 WHERE client_id = $1 AND ended_at = 0";
SQL sql_login_end_user[] =
	"UPDATE logins SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at = 0";
/* There are few different lists of audiences, however many logins: they are found by jumping from
 * each to the next in the index, and those that hold the URI lead back into it. replace() compares
 * bytes on both engines; LIKE folds case on one, and a URI may hold its wildcards. */
SQL sql_login_end_api[] =
	"UPDATE logins SET ended_at = $2, end_reason = $3 WHERE ended_at = 0 AND audience IN ("
	"WITH RECURSIVE lists (audience) AS (SELECT MIN(audience) FROM logins UNION ALL "
	"SELECT (SELECT MIN(l.audience) FROM logins l WHERE l.audience > lists.audience) "
	"FROM lists WHERE lists.audience IS NOT NULL) SELECT audience FROM lists WHERE "
	"replace(' ' || audience || ' ', ' ' || $1 || ' ', '') <> ' ' || audience || ' ')";

/* ---- recorded tokens ---- */

SQL sql_token_insert[] =
	"INSERT INTO recorded_tokens (hash, kid, claims, exp) VALUES ($1, $2, $3, $4)";
SQL sql_token_get[] = "SELECT kid, claims, exp FROM recorded_tokens WHERE hash = $1";

/* ---- revocations ---- */

SQL sql_revoke[] = "INSERT INTO revocations (kind, value, iat_max, keep_until, sid, client_id) "
		   "VALUES ($1, $2, $3, $4, $5, $6) "
		   "ON CONFLICT (kind, value) DO UPDATE SET "
		   "iat_max = CASE WHEN excluded.iat_max > revocations.iat_max "
		   "THEN excluded.iat_max ELSE revocations.iat_max END, "
		   "keep_until = CASE WHEN excluded.keep_until > revocations.keep_until "
		   "THEN excluded.keep_until ELSE revocations.keep_until END";
SQL sql_revocation_page[] = "SELECT kind, value, iat_max, keep_until, sid, client_id "
			    "FROM revocations "
			    "WHERE (kind, value) > ($1, $2) AND keep_until >= $3 "
			    "ORDER BY kind, value LIMIT $4";

/* ---- keys ---- */

#define KEY_COLUMNS                                                                                \
	"kid, alg, state, origin, root_version, forced, created_at, publish_at, ready_at, "        \
	"activate_at, retire_at, remove_at, revoked_at, exp_bound, last_exp, public_jwk, sealed"
SQL sql_key_list[] = "SELECT " KEY_COLUMNS " FROM keys ORDER BY kid";
SQL sql_key_insert[] =
	"INSERT INTO keys (" KEY_COLUMNS ") VALUES "
	"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
SQL sql_key_retire[] =
	"UPDATE keys SET state = 'retiring', retire_at = $2, remove_at = $3, sealed = $4, "
	"last_exp = 0 WHERE alg = $1 AND state = 'active'";
SQL sql_key_republish[] = "UPDATE keys SET publish_at = $2, ready_at = $3, "
			  "activate_at = CASE WHEN activate_at < $3 THEN $3 ELSE activate_at END "
			  "WHERE alg = $1 AND state = 'standby'";
SQL sql_key_withdraw[] = "UPDATE keys SET state = 'removed', retire_at = $2, remove_at = $2, "
			 "sealed = $3 WHERE alg = $1 AND state = 'standby'";
SQL sql_key_promote[] =
	"UPDATE keys SET state = 'active', activate_at = $3, exp_bound = $4, forced = $5 "
	"WHERE kid = $1 AND alg = $2 AND state = 'standby'";
SQL sql_key_bound[] =
	"UPDATE keys SET exp_bound = CASE WHEN exp_bound < $2 THEN $2 ELSE exp_bound END "
	"WHERE kid = $1 AND state = 'active'";
SQL sql_key_settle[] =
	"UPDATE keys SET "
	"last_exp = CASE WHEN last_exp = 0 OR last_exp > $2 THEN $2 ELSE last_exp END, "
	"remove_at = CASE WHEN remove_at > $3 THEN $3 ELSE remove_at END "
	"WHERE kid = $1 AND state = 'retiring'";
SQL sql_key_remove[] =
	"UPDATE keys SET state = 'removed', remove_at = $2 WHERE kid = $1 AND state = 'retiring'";
SQL sql_key_revoke[] = "UPDATE keys SET state = 'revoked', revoked_at = $2, "
		       "retire_at = CASE WHEN retire_at > 0 THEN retire_at ELSE $2 END, "
		       "remove_at = $2, sealed = $3 WHERE kid = $1 AND state <> 'revoked'";
/* What a removed key was is told for a while; a revoked one is told for ever. */
SQL sql_key_forget[] = "DELETE FROM keys WHERE state = 'removed' AND kid NOT IN "
		       "(SELECT kid FROM keys WHERE state = 'removed' "
		       "ORDER BY remove_at DESC, kid LIMIT $1)";
SQL sql_root_list[] = "SELECT version, sealed FROM roots ORDER BY version";
SQL sql_root_get[] = "SELECT version, sealed FROM roots ORDER BY version DESC LIMIT 1";
SQL sql_root_put[] = "INSERT INTO roots (version, sealed, created_at) VALUES ($1, $2, $3) "
		     "ON CONFLICT (version) DO UPDATE SET sealed = excluded.sealed";

/* ---- consumers ---- */

#define CONSUMER_COLUMNS "name, first_at, last_at, fetches, held"
/* The latest first: where not all fit, those that have gone are left out. */
SQL sql_consumer_list[] = "SELECT " CONSUMER_COLUMNS
			  " FROM consumers ORDER BY last_at DESC, name LIMIT $1";
SQL sql_consumer_put[] =
	"INSERT INTO consumers (" CONSUMER_COLUMNS ") VALUES ($1, $2, $3, $4, $5) "
	"ON CONFLICT (name) DO UPDATE SET first_at = excluded.first_at, "
	"last_at = excluded.last_at, fetches = excluded.fetches, held = excluded.held";
SQL sql_consumer_forget[] = "DELETE FROM consumers WHERE last_at < $1";

/* ---- audit, meta, housekeeping ---- */

#define AUDIT_COLUMNS "id, at, event, outcome, actor, target, address, request_id, reason, count"
SQL sql_audit_insert[] = "INSERT INTO audit (" AUDIT_COLUMNS ") "
			 "SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9 "
			 "FROM audit";
SQL sql_audit_list[] = "SELECT " AUDIT_COLUMNS
		       " FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";

SQL sql_meta_get[] = "SELECT value FROM meta WHERE name = $1";
SQL sql_meta_put[] = "INSERT INTO meta (name, value) VALUES ($1, $2) "
		     "ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/* The newest audit row stays whatever its age, so that ids never start again. */
SQL sql_purge_audit[] = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 "
			"AND id < (SELECT MAX(id) FROM audit) ORDER BY at LIMIT $2)";
SQL sql_purge_revocations[] =
	"DELETE FROM revocations WHERE (kind, value) IN "
	"(SELECT kind, value FROM revocations WHERE keep_until < $1 ORDER BY keep_until LIMIT $2)";
SQL sql_purge_tokens[] = "DELETE FROM recorded_tokens WHERE hash IN "
			 "(SELECT hash FROM recorded_tokens WHERE exp <= $1 ORDER BY exp LIMIT $2)";
SQL sql_purge_api_secrets[] = "DELETE FROM api_secrets WHERE kid IN (SELECT kid FROM api_secrets "
			      "WHERE until > 0 AND until <= $1 ORDER BY until, kid LIMIT $2)";
/* A window of rows by primary key: no index has to follow idle_until through every rotation. */
SQL sql_purge_window[] = "SELECT id FROM logins WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2";
SQL sql_purge_logins[] = "DELETE FROM logins WHERE id > $1 AND id <= $2 AND "
			 "(ended_at > 0 OR expires_at <= $3 OR idle_until <= $3)";

#undef SQL
#endif
