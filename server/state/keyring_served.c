/* Since when requests see a standby. Its stored ready_at counts from the commit; the set that is
 * served changes later, on a busy machine seconds later, because the other algorithms' keys are
 * made in between. Until then verifiers take sets home that lack it and keep them for as long as
 * was promised: so rule 2 counts again from here, by the monotonic clock. */
#include "server/state/keyring_priv.h"

enum { SECOND = 1000000 };

void keyring_served(struct keyring *k, const struct keyring_view *v)
{
	int64_t now = k->env->monotonic(k->env);

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < v->count; i++) {
		const struct key_info *info = &v->keys[i].info;
		struct keyring_served *served = &k->served[info->alg];

		if (info->state != KEY_STANDBY || strcmp(served->kid, info->kid) == 0)
			continue;
		memcpy(served->kid, info->kid, sizeof(served->kid));
		/* one that was ready before there was this process: others have served it */
		served->since = info->ready_at <= k->opened_at ? now - INT32_MAX * (int64_t)SECOND
							       : now;
	}
	k->serves = true;
	pthread_mutex_unlock(&k->lock);
}

int64_t keyring_unseen(struct keyring *k, const struct key_info *standby)
{
	int64_t now = k->env->monotonic(k->env), left = 0;

	pthread_mutex_lock(&k->lock);
	if (k->serves) {
		const struct keyring_served *served = &k->served[standby->alg];
		int64_t since = strcmp(served->kid, standby->kid) == 0 ? served->since : now;

		left = since + (k->promises.freshness + k->settings.policy.skew) * SECOND - now;
	}
	pthread_mutex_unlock(&k->lock);
	return left <= 0 ? 0 : (left + SECOND - 1) / SECOND;
}
