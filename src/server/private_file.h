/*
 * private_file.h
 *		Files that hold keys: who may own them, and where they may be.
 *
 * Paths are absolute; symbolic links are followed, and what is checked is the file
 * that they lead to.  Every error is F0000 and names the path, what is wrong and
 * how to put it right; none holds a byte of the file.
 */
#ifndef KV_PRIVATE_FILE_H
#define KV_PRIVATE_FILE_H

#include <sys/stat.h>

typedef enum KvPrivateFileFlags
{
	KV_PRIVATE_FILE_STRICT = 0,
	KV_PRIVATE_FILE_MAY_BE_MISSING = 1 << 0,
	KV_PRIVATE_FILE_MAY_BE_EMPTY = 1 << 1,
	KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY = 1 << 2,
	KV_PRIVATE_FILE_MAY_BE_SHARED = 1 << 3	/* of any owner and mode */
} KvPrivateFileFlags;

/*
 * Reads a file that follows the rule of ssl_key_file: regular, and either owned
 * by the server's user with mode 0600 or stricter, or by root with 0640 or
 * stricter.  At most max bytes.
 *
 * The result has a NUL behind it that *len does not count, and is freed with
 * kv_locked_free(result, *allocated).  NULL when the file may be missing, and is.
 *
 * another_way, or NULL, is for the hint when root's file can be used by others: what
 * to do when it is not the server's administrator who decides about its mode.
 */
extern char *kv_private_file_read(const char *path, Size max, int flags,
								  const char *another_way,
								  Size *len, Size *allocated);

/*
 * Where a path leads, or would lead if the file were made.  The flag about
 * the data directory counts.  palloc'd.
 */
extern char *kv_private_file_resolve(const char *path, int flags);

/*
 * Checks that a file is the server's user's own, and so its to replace.  path is
 * resolved.  False when there is none.
 */
extern bool kv_private_file_is_own(const char *path, struct stat *st);

/* The name of the server's user, for hints that can be typed as they stand. */
extern const char *kv_server_user(void);

#endif							/* KV_PRIVATE_FILE_H */
