/*
 * file_change.h
 *		Changing a private file: one at a time, and never half written.
 *
 * Paths and errors are as in private_file.h: it is the file that a symbolic link
 * leads to that is locked and replaced.
 */
#ifndef KV_FILE_CHANGE_H
#define KV_FILE_CHANGE_H

#include "server/private_file.h"

/*
 * Waits for the lock file beside a file, up to a minute, or until the query is
 * cancelled.  What it returns goes to kv_private_file_unlock(); an error
 * in between releases the lock when the (sub)transaction aborts.
 */
extern int	kv_private_file_lock(const char *path, int flags);
extern void kv_private_file_unlock(int lock);

/*
 * Removes the temporary file that a server left which was killed.  Hold the lock.
 * Whoever writes the file need not call it.
 */
extern void kv_private_file_tidy(const char *path, int flags);

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
 * did not work; the new content may be in place even so.  Never throws: it may run after the commit.
 */
extern bool kv_private_file_publish(const KvPendingFile *pending);

/* Removes the temporary file of a pending one.  Never throws. */
extern void kv_private_file_discard(const KvPendingFile *pending);

/* Prepares and publishes. */
extern void kv_private_file_replace(const char *path,
									const char *bytes, Size len,
									mode_t mode, int flags);

#endif							/* KV_FILE_CHANGE_H */
