/*
 * dotenv_text.c
 *		Keeps the .env file's text in locked memory, and looks at the file's
 *		times and identity before it serves the copy.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <time.h>

#include "common/hashfn.h"

#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/private_file.h"
#include "server/settings.h"
#include "vault/laptop/dotenv_text.h"
#include "vault/laptop/dotenv_words.h"

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

/* Of the last warning about odd lines: it comes once a session. */
static uint64 warned_of = 0;

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

char *
kv_dotenv_text_where(void)
{
	return psprintf("file \"%s\"", kv_setting_dotenv_file);
}

/*
 * Warns of lines that are passed over, once a session: not again for a file that was
 * changed elsewhere, as each set() does.
 */
static void
warn_of_odd_lines(void)
{
	size_t		line;
	char	   *message;
	uint64		hash;

	if (kv_dotenv_check(known, known_len, &line) != KV_OK)
		return;
	message = kv_dotenv_odd_lines_message(known, known_len, kv_dotenv_text_where());
	if (message == NULL)
		return;
	hash = hash_bytes_extended((const unsigned char *) message, strlen(message), 0);
	if (hash != warned_of)
		kv_dotenv_warn_of_odd_lines(message);
	warned_of = hash;
	pfree(message);
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
		warn_of_odd_lines();
	}

	current.bytes = known;
	current.len = known_len;
	return current;
}

void
kv_dotenv_text_report(KvStatus status, Size line)
{
	if (status == KV_SYNTAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" is not a valid .env file at line %zu",
						kv_setting_dotenv_file, line),
				 errdetail("There is a NUL byte, which is in no text but in UTF-16."),
				 errhint("Save the file in UTF-8.")));
	if (status == KV_AMBIGUOUS)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" cannot be changed at line %zu",
						kv_setting_dotenv_file, line),
				 errdetail("To python-dotenv or npm's dotenv the line has to do with another variable, too."),
				 errhint("Change the file by hand.")));
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("file \"%s\" is not a valid .env file", kv_setting_dotenv_file),
			 errdetail("Reason: %s.", kv_status_text(status))));
}
