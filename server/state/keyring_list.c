/* The list of revoked kids and what the database says: each makes good what the other has lost. A
 * database from before a revocation meets the list at the start (keyring_revoke.c); a list that was
 * lost, or brought back from an older copy, gets here from the database what it lacks, because the
 * next database to be brought back may be older still. */
#include <stdio.h>

#include "server/state/keyring_priv.h"
#include "server/state/revoked_kids.h"

static bool is_lacking(const struct key_info *info, struct str list)
{
	return info->state == KEY_REVOKED && !revoked_kids_has(list, str_z(info->kid));
}

enum err keyring_with_list(struct keyring *k, enum err (*run)(struct keyring *k, struct str list))
{
	struct buf list;
	enum err e;

	if (!k->revoked_kids)
		return ERR_OK;
	buf_init(&list, NULL, REVOKED_KIDS_FILE_MAX);
	e = revoked_kids_read(k->revoked_kids, &list);
	if (!e)
		e = run(k, str_n(list.p, list.n));
	buf_done(&list);
	return e;
}

/* ---- putting back ---- */

static enum err step_tell(struct lane_ctx *ctx, void *arg)
{
	return store_audit(ctx->db, arg);
}

static enum err tell(struct keyring *k, const char *kid)
{
	struct audit_row row = { .at = keyring_now(k),
				 .event = KEY_EVENT_RELIST,
				 .outcome = STR("ok"),
				 .actor = STR("system"),
				 .target = str_z(kid),
				 .reason = STR("was missing from the list of revoked kids"),
				 .count = 1 };

	return k->store.write(k->store.arg, step_tell, &row);
}

static enum err put_back(struct keyring *k, struct str list)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < k->view->count && !e; i++) {
		const struct key_info *info = &k->view->infos[i];

		if (!is_lacking(info, list))
			continue;
		e = revoked_kids_add(k->revoked_kids, str_z(info->kid), info->revoked_at);
		if (!e)
			e = tell(k, info->kid);
	}
	return e;
}

enum err keyring_relist(struct keyring *k)
{
	return keyring_with_list(k, put_back);
}

/* ---- telling ---- */

static const char *lacks(const struct keyring_view *v, struct str list, char *text, size_t size)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct key_info *info = &v->infos[i];

		if (!is_lacking(info, list))
			continue;
		snprintf(text, size,
			 "%s %s (revoked): not on the list of revoked kids; the next start or "
			 "revocation puts it back",
			 alg_name(info->alg), info->kid);
		return text;
	}
	return NULL;
}

const char *keyring_lint_list(const struct keyring *k, const struct keyring_view *v, char *text,
			      size_t size)
{
	const char *fault = NULL;
	struct buf list;
	enum err e;

	if (!k->revoked_kids)
		return NULL;
	buf_init(&list, NULL, REVOKED_KIDS_FILE_MAX);
	e = revoked_kids_read(k->revoked_kids, &list);
	if (e) {
		snprintf(text, size, "the list of revoked kids cannot be read: %s", err_name(e));
		fault = text;
	} else {
		fault = lacks(v, str_n(list.p, list.n), text, size);
	}
	buf_done(&list);
	return fault;
}
