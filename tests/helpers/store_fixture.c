/* A database for a test. */
#include "tests/helpers/store_fixture.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/secret.h"
#include "server/store/migrate.h"
#include "tests/helpers/temp.h"

static void make_folder(struct store_fixture *f)
{
	temp_folder(f->dir, sizeof(f->dir), "test");
	snprintf(f->db_path, sizeof(f->db_path), "%s/chancery.db", f->dir);
}

void store_fixture_up(struct store_fixture *f)
{
	char copy[160];

	*f = (struct store_fixture){ .db = NULL };
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	fake_env_init(&f->fake, FIXTURE_NOW);
	make_folder(f);
	snprintf(copy, sizeof(copy), "%s.copy", f->db_path);
	ck_assert_int_eq(db_open(f->db_path, DB_WRITE, true, &f->db), ERR_OK);
	ck_assert_int_eq(migrate_up(f->db, copy, FIXTURE_NOW), ERR_OK);
	ck_assert_int_eq(arena_new(16 << 20, &f->arena), ERR_OK);
}

void store_fixture_reopen(struct store_fixture *f)
{
	db_close(f->db);
	f->db = NULL;
	ck_assert_int_eq(db_open(f->db_path, DB_WRITE, false, &f->db), ERR_OK);
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0); /* "." and ".." stay */
	if (d)
		closedir(d);
	rmdir(dir);
}

void store_fixture_down(struct store_fixture *f)
{
	db_close(f->db);
	arena_free(f->arena);
	remove_folder(f->dir);
}

void store_fixture_api(struct store_fixture *f, const char *uri, const char *slug,
		       const char *scope)
{
	const struct api api = {
		.uri = str_z(uri),
		.slug = str_z(slug),
		.name = str_z(slug),
		.scope = str_z(scope),
		.format = API_JWT,
		.created_at = FIXTURE_NOW,
	};

	ck_assert_int_eq(store_api_create(f->db, &api), ERR_OK);
}

void store_fixture_client(struct store_fixture *f, const char *id, const char *scope,
			  const char *audiences)
{
	const struct client client = {
		.id = str_z(id),
		.name = str_z(id),
		.grants = STR("client_credentials password refresh_token"),
		.scope = str_z(scope),
		.audiences = str_z(audiences),
		.refresh_rotation = true,
		.created_at = FIXTURE_NOW,
	};
	struct str missing;

	ck_assert_int_eq(store_client_create(f->db, &client, &missing), ERR_OK);
}

void store_fixture_user(struct store_fixture *f, const char *id, const char *name)
{
	const struct user user = {
		.id = str_z(id),
		.name = str_z(name),
		.roles = STR("staff"),
		.created_at = FIXTURE_NOW,
	};

	ck_assert_int_eq(store_user_create(f->db, &user), ERR_OK);
}
