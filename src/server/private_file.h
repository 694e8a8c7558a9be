/*
 * private_file.h
 *		Files that hold keys: who may own them, where they may be, and how they
 *		are changed without ever being half written.
 *
 * Paths are absolute; symbolic links are followed, and what is checked and replaced is the
 * file that they lead to.  Every error is F0000 and names the path, what is wrong
 * and how to put it right; none holds a byte of the file.
 */
#ifndef KV_PRIVATE_FILE_H
#define KV_PRIVATE_FILE_H

#include <sys/stat.h>

typedef enum KvPrivateFileFlags
{
	KV_PRIVATE_FILE_STRICT = 0,
	KV_PRIVATE_FILE_MAY_BE_MISSING = 1 << 0,
	KV_PRIVATE_FILE_MAY_BE_EMPTY = 1 << 1,
	KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY = 1 << 2
} KvPrivateFileFlags;

/*
 * Reads a file that follows the rule of ssl_key_file: regular, and either owned
 * by the server's user with mode 0600 or stricter, or by root with 0640 or
 * stricter.  At most max bytes.
 *
 * The result has a NUL behind it that *len does not count, and is freed with
 * kv_locked_free(result, *allocated).  NULL when the file may be missing, and is.
 */
extern char *kv_private_file_read(const char *path, Size max, int flags,
								  Size *len, Size *allocated);

/*
 * Waits for the lock file beside a file, up to a minute, or until the query is
 * cancelled.  What it returns goes to kv_private_file_unlock(); an error
 * in between releases the lock when the (sub)transaction aborts.
 */
extern int	kv_private_file_lock(const char *path, int flags);
extern void kv_private_file_unlock(int lock);

/* A file that is written and on disk under another name. */
typedef struct KvPendingFile
{
	char	   *target;
	char	   *temporary;
} KvPendingFile;

/*
 * Writes what path shall hold to a temporary file beside it, and flushes it.  A
 * file that is already there keeps its mode and group, and must be the server's
 * user's own; a new one gets mode.  Hold the lock: an abandoned
 * temporary file of a server that was killed is removed.  Allocated in the current
 * memory context.
 */
extern KvPendingFile *kv_private_file_prepare(const char *path,
											  const char *bytes, Size len,
											  mode_t mode, int flags);

/*
 * Puts a pending file in place, and flushes the folder.  False, with errno, when that
 * did not work.  Never throws: it may run after the commit.
 */
extern bool kv_private_file_publish(const KvPendingFile *pending);

/* Removes the temporary file of a pending one.  Never throws. */
extern void kv_private_file_discard(const KvPendingFile *pending);

/* Prepares and publishes: all or nothing, with an error for nothing. */
extern void kv_private_file_replace(const char *path,
									const char *bytes, Size len,
									mode_t mode, int flags);

#endif							/* KV_PRIVATE_FILE_H */
