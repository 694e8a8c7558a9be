/*
 * file_change.c
 *		Changing a private file: one at a time, and never half written.
 *
 * What is in it is not known here.
 */
#include "postgres.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "port.h"
#include "portability/instr_time.h"
#include "storage/fd.h"

#include "server/errors.h"
#include "server/file_change.h"
#include "server/nap.h"

#define LOCK_SUFFIX			".lock"
#define TEMPORARY_SUFFIX	".key_vault-tmp"
#define LOCK_TIMEOUT_S		60
#define LOCK_NAP_MS			20

/* Reports errno about a path.  what: "write", "lock". */
static void
report_errno(const char *what, const char *path)
{
	int			saved_errno = errno;
	const char *user = kv_server_user();

	errno = saved_errno;
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("could not %s file \"%s\": %m", what, path),
			 errhint("The server runs as user \"%s\", who needs the right to create files in that folder.",
					 user)));
}

int
kv_private_file_lock(const char *path, int flags)
{
	char	   *lock_path = psprintf("%s" LOCK_SUFFIX, kv_private_file_resolve(path, flags));
	instr_time	started;
	instr_time	now;
	int			lock;

	lock = OpenTransientFilePerm(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW |
								 O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (lock < 0)
		report_errno("write", lock_path);

	INSTR_TIME_SET_CURRENT(started);
	while (flock(lock, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
			report_errno("lock", lock_path);

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, started);
		if (INSTR_TIME_GET_MILLISEC(now) > LOCK_TIMEOUT_S * 1000.0)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("could not lock file \"%s\" within %d s",
							lock_path, LOCK_TIMEOUT_S),
					 errhint("Another process holds it, in this cluster or another one. Try again when it is done.")));

		kv_nap(LOCK_NAP_MS);
	}
	return lock;
}

void
kv_private_file_unlock(int lock)
{
	(void) CloseTransientFile(lock);
}

static char *
temporary_name(const char *target)
{
	return psprintf("%s" TEMPORARY_SUFFIX, target);
}

void
kv_private_file_tidy(const char *path, int flags)
{
	(void) unlink(temporary_name(kv_private_file_resolve(path, flags)));
}

/* Writes and flushes all bytes.  False, with errno, when it cannot. */
static bool
write_all(int fd, const char *bytes, Size len)
{
	while (len > 0)
	{
		ssize_t		written = write(fd, bytes, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			if (written == 0)
				errno = ENOSPC;
			return false;
		}
		bytes += written;
		len -= (Size) written;
	}
	/* Not pg_fsync(): fsync = off is a choice about the cluster, not about keys. */
	return fsync(fd) == 0;
}

/*
 * Gives a new file the mode and group of the one that it shall replace.  A group
 * that the server may not give gets no rights either.
 */
static bool
copy_access(int fd, const struct stat *old)
{
	mode_t		mode = old->st_mode & 07777;

	if (fchown(fd, (uid_t) -1, old->st_gid) != 0)
		mode &= ~(mode_t) S_IRWXG;
	return fchmod(fd, mode) == 0;
}

KvPendingFile *
kv_private_file_prepare(const char *path, const char *bytes, Size len,
						mode_t mode, int flags)
{
	KvPendingFile *pending = palloc(sizeof(KvPendingFile));
	struct stat old;
	bool		replaces;
	bool		written;
	int			saved_errno;
	int			fd;

	pending->target = kv_private_file_resolve(path, flags);
	pending->temporary = temporary_name(pending->target);
	replaces = kv_private_file_is_own(pending->target, &old);

	(void) unlink(pending->temporary);
	fd = OpenTransientFilePerm(pending->temporary,
							   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
							   S_IRUSR | S_IWUSR);
	if (fd < 0)
		report_errno("write", pending->temporary);

	/* Nothing in here throws. */
	written = (replaces ? copy_access(fd, &old) : fchmod(fd, mode) == 0) &&
		write_all(fd, bytes, len);
	saved_errno = errno;
	if (CloseTransientFile(fd) != 0 && written)
	{
		saved_errno = errno;
		written = false;
	}
	if (!written)
	{
		kv_private_file_discard(pending);
		errno = saved_errno;
		report_errno("write", pending->temporary);
	}
	return pending;
}

bool
kv_private_file_publish(const KvPendingFile *pending)
{
	char		folder[PATH_MAX];
	int			fd;
	int			saved_errno;
	bool		flushed;

	if (rename(pending->temporary, pending->target) != 0)
		return false;

	strlcpy(folder, pending->target, sizeof(folder));
	get_parent_directory(folder);
	fd = BasicOpenFile(folder[0] != '\0' ? folder : "/", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES; /* a folder that may be written, not listed */
	/* Some file systems cannot flush a folder, and need not. */
	flushed = fsync(fd) == 0 || errno == EBADF || errno == EINVAL;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return flushed;
}

void
kv_private_file_discard(const KvPendingFile *pending)
{
	(void) unlink(pending->temporary);
}

void
kv_private_file_replace(const char *path, const char *bytes, Size len,
						mode_t mode, int flags)
{
	KvPendingFile *pending = kv_private_file_prepare(path, bytes, len, mode, flags);

	if (!kv_private_file_publish(pending))
	{
		int			saved_errno = errno;

		kv_private_file_discard(pending);
		errno = saved_errno;
		report_errno("write", pending->target);
	}
}
