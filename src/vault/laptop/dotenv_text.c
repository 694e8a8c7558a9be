/*
 * dotenv_text.c
 *		Keeps the .env file's text in locked memory, and looks at the file's
 *		times and identity before it serves the copy.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <time.h>

#include "format/dotenv.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/private_file.h"
#include "server/settings.h"
#include "vault/laptop/dotenv_text.h"

/*
 * A write within this time of the last one may leave the file's times as they
 * are: clocks of file systems tick every few milliseconds.
 */
#define RACY_NS (100 * INT64CONST(1000000))

static char *known = NULL;
static Size known_len = 0;
static Size known_allocated = 0;
static char *known_path = NULL;
static struct stat known_stat;
static bool known_is_settled = false;	/* read long after the last write */

static int64
nanoseconds(struct timespec time)
{
	return (int64) time.tv_sec * INT64CONST(1000000000) + time.tv_nsec;
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_size == b->st_size &&
		nanoseconds(a->st_mtim) == nanoseconds(b->st_mtim) &&
		nanoseconds(a->st_ctim) == nanoseconds(b->st_ctim);
}

static void
forget_known(void)
{
	if (known != NULL)
		kv_locked_free(known, known_allocated);
	known = NULL;
	if (known_path != NULL)
		free(known_path);
	known_path = NULL;
}

KvDotenvText
kv_dotenv_text_current(void)
{
	const char *path = kv_setting_dotenv_file;
	KvDotenvText current;
	struct stat st;
	struct timespec now;
	bool		exists = stat(path, &st) == 0;

	if (!exists || known == NULL || !known_is_settled || strcmp(path, known_path) != 0 ||
		!is_same_file(&st, &known_stat))
	{
		Size		len;
		Size		allocated;
		char	   *fresh;

		/* The times from before reading: a write meanwhile is seen later. */
		clock_gettime(CLOCK_REALTIME, &now);
		fresh = kv_private_file_read(path, KV_DOTENV_MAX, KV_DOTENV_FILE_FLAGS, NULL,
									 &len, &allocated);
		forget_known();
		known = fresh;
		known_len = len;
		known_allocated = allocated;
		known_path = strdup(path);
		known_stat = st;
		known_is_settled = exists && known_path != NULL &&
			nanoseconds(now) - nanoseconds(st.st_mtim) > RACY_NS &&
			nanoseconds(now) - nanoseconds(st.st_ctim) > RACY_NS;
	}

	current.bytes = known;
	current.len = known_len;
	return current;
}

void
kv_dotenv_text_report(KvStatus status, Size line)
{
	if (line > 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" is not a valid .env file at line %zu",
						kv_setting_dotenv_file, line),
				 errdetail("Reason: %s.", kv_status_text(status)),
				 errhint("Look for a quote that is not closed, or text behind one that is.")));
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("file \"%s\" is not a valid .env file", kv_setting_dotenv_file),
			 errdetail("Reason: %s.", kv_status_text(status))));
}
