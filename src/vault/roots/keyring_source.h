/*
 * keyring_source.h
 *		Where the keyring of this database is, by the settings as they are now.
 *
 * What is in a keyring is not known here, and nothing is kept.
 */
#ifndef KV_KEYRING_SOURCE_H
#define KV_KEYRING_SOURCE_H

#include "server/compat.h"

/* A keyring has at most this many bytes. */
#define KV_KEYRING_MAX_SIZE (1024 * 1024)

/* Keyring text in locked memory; freed with kv_locked_free(bytes, allocated). */
typedef struct KvKeyringText
{
	char	   *bytes;			/* NULL when there is no file */
	Size		len;
	Size		allocated;
} KvKeyringText;

extern bool kv_keyring_is_configured(void);

/* Throws what everybody says who needs a keyring when none is configured. */
pg_noreturn extern void kv_keyring_report_not_configured(void);

/*
 * The path of the file, in this database.  palloc'd.  Errors: F0000 when this
 * database's name cannot be a part of one.
 */
extern char *kv_keyring_file(void);

/* The flags with which it is read and written. */
extern int	kv_keyring_file_flags(void);

/* file "/x", or keyring_command.  palloc'd.  Errors: as above. */
extern char *kv_keyring_describe_source(void);

/*
 * What the command prints or the file holds.  A keyring is configured.
 *
 * Errors: F0000, also when there is no file.
 */
extern KvKeyringText kv_keyring_read_source(void);

/* What the file holds, if anything, before it is changed.  Errors: F0000. */
extern KvKeyringText kv_keyring_read_file(const char *path);

/*
 * For messages, palloc'd: sentences that say where a keyring was read from, and what to
 * do when a root key is not in it.
 */
extern char *kv_keyring_source_detail(const char *source);
extern const char *kv_keyring_missing_key_hint(void);

#endif							/* KV_KEYRING_SOURCE_H */
