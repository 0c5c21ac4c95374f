/* One gate for every grant. What else makes a subject unfit (locked, expired) is a line here and
 * nowhere else. */
#include "server/store/gate.h"

enum err gate_subject(const struct client *client, const struct user *user, const char **ret_why)
{
	if (client->disabled) {
		*ret_why = "client is disabled";
		return ERR_INVALID_CLIENT;
	}
	if (user && user->disabled) {
		*ret_why = "user is disabled";
		return ERR_INVALID_GRANT;
	}
	return ERR_OK;
}
