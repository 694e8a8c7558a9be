/*
 * private_file.c
 *		Files that hold keys: who may own them, and where they may be.
 *
 * What is in them is not known here.
 */
#include "postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "miscadmin.h"
#include "port.h"
#include "storage/fd.h"

#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/private_file.h"

const char *
kv_server_user(void)
{
	struct passwd *entry = getpwuid(geteuid());

	return entry != NULL ? pstrdup(entry->pw_name) : psprintf("%u", geteuid());
}

/* Reports errno about a path.  what: "open", "read". */
static void
report_errno(const char *what, const char *path)
{
	int			saved_errno = errno;
	const char *user = kv_server_user();

	errno = saved_errno;
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("could not %s file \"%s\": %m", what, path),
			 saved_errno == EACCES || saved_errno == EPERM ?
			 errhint("The server runs as user \"%s\", who needs the right to enter every folder on the way and to %s the file.",
					 user, what) : 0,
			 saved_errno == ENOENT ?
			 errhint("Check the path, and each symbolic link on the way.") : 0));
}

/* Where a path leads.  False when nothing is there. */
static bool
resolve_existing(const char *path, char resolved[static PATH_MAX])
{
	struct stat st;

	if (!is_absolute_path(path))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("\"%s\" is not an absolute path", path)));

	if (realpath(path, resolved) != NULL)
		return true;
	if (errno != ENOENT)
		report_errno("open", path);
	if (lstat(path, &st) == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("\"%s\" is a symbolic link that leads nowhere", path),
				 errhint("Remove the link, or put back what it leads to.")));
	return false;
}

/* True when folder, or what it is a link to, holds the path. */
static bool
is_inside(const char *folder, const char *resolved)
{
	char		real_folder[PATH_MAX];

	return realpath(folder, real_folder) != NULL &&
		path_is_prefix_of_path(real_folder, resolved);
}

/* The data directory, and the folders elsewhere that are parts of it. */
static bool
is_in_data_directory(const char *resolved)
{
	char		path[MAXPGPATH * 2];
	DIR		   *folder;
	struct dirent *entry;
	bool		found;

	snprintf(path, sizeof(path), "%s/pg_wal", DataDir);
	found = is_inside(DataDir, resolved) || is_inside(path, resolved);

	snprintf(path, sizeof(path), "%s/pg_tblspc", DataDir);
	folder = AllocateDir(path);
	while (!found && (entry = ReadDirExtended(folder, path, LOG)) != NULL)
	{
		char		tablespace[MAXPGPATH * 2];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(tablespace, sizeof(tablespace), "%s/pg_tblspc/%s",
				 DataDir, entry->d_name);
		found = is_inside(tablespace, resolved);
	}
	if (folder != NULL)
		FreeDir(folder);
	return found;
}

static void
check_place(const char *path, const char *resolved, int flags)
{
	if ((flags & KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY) == 0 &&
		is_in_data_directory(resolved))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" must not be inside the data directory", path),
				 errdetail("A base backup would carry it along with what it protects, pg_rewind would overwrite it, and pg_upgrade would leave it behind to be deleted."),
				 errhint("Move it to a folder outside, such as \"/etc/postgresql/key_vault\".")));
}

static void
check_regular(const char *path, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("\"%s\" is a folder, not a file", path),
				 errhint("Give the path of the file in it.")));
	if (!S_ISREG(st->st_mode))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("\"%s\" is not a regular file", path),
				 errhint("Devices, sockets and named pipes will not do.")));
}

/* What makes a file of root's follow the rule, and can be read. */
static char *
advise_mode_of_roots(const char *path, const char *another_way)
{
	struct group *group = getgrgid(getegid());
	char	   *name = group != NULL ? pstrdup(group->gr_name) : psprintf("%u", getegid());

	return psprintf("Run, as root: chgrp %s \"%s\" && chmod 0640 \"%s\"%s%s",
					name, path, path,
					another_way != NULL ? "\n" : "", another_way != NULL ? another_way : "");
}

/* The rule of ssl_key_file. */
static void
check_rule(const char *path, const struct stat *st, const char *another_way)
{
	const bool	own = st->st_uid == geteuid();
	const mode_t forbidden = own ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO;

	check_regular(path, st);
	if (!own && st->st_uid != 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" belongs to another user", path),
				 errdetail("It must belong to the server's user or to root."),
				 errhint("Run: chown %s \"%s\" && chmod 0600 \"%s\"",
						 kv_server_user(), path, path)));
	if (st->st_mode & forbidden)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" can be used by others: its mode is %04o",
						path, (unsigned) (st->st_mode & 07777)),
				 errdetail("It must be 0600 or stricter when it belongs to the server's user, 0640 or stricter when it belongs to root."),
				 own ? errhint("Run: chmod 0600 \"%s\"", path) :
				 errhint("%s", advise_mode_of_roots(path, another_way))));
}

static void
check_size(const char *path, const struct stat *st, Size max, int flags)
{
	if (st->st_size == 0 && (flags & KV_PRIVATE_FILE_MAY_BE_EMPTY) == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" is empty", path),
				 errhint("Put back what was in it.")));
	if ((Size) st->st_size > max)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" is too large", path),
				 errdetail("It has %lld bytes; at most %zu are allowed.",
						   (long long) st->st_size, max)));
}

/* Reads up to the end of the file, or until room bytes are there. */
static Size
read_all(int fd, const char *path, char *text, Size room)
{
	Size		len = 0;

	while (len < room)
	{
		ssize_t		got = read(fd, text + len, room - len);

		if (got == 0)
			break;
		if (got > 0)
			len += (Size) got;
		else if (errno != EINTR)
			report_errno("read", path);
	}
	return len;
}

char *
kv_private_file_read(const char *path, Size max, int flags, const char *another_way,
					 Size *len, Size *allocated)
{
	char		resolved[PATH_MAX];
	char	   *volatile text = NULL;
	int			fd;

	*len = 0;
	*allocated = 0;
	if (!resolve_existing(path, resolved))
	{
		if (flags & KV_PRIVATE_FILE_MAY_BE_MISSING)
			return NULL;
		errno = ENOENT;
		report_errno("open", path);
	}
	check_place(path, resolved, flags);

	/* A named pipe must not hang the server, a terminal not become its own. */
	fd = OpenTransientFile(resolved, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						   O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		report_errno("open", path);

	PG_TRY();
	{
		struct stat st;

		if (fstat(fd, &st) != 0)
			report_errno("read", path);
		if (flags & KV_PRIVATE_FILE_MAY_BE_SHARED)
			check_regular(path, &st);
		else
			check_rule(path, &st, another_way);
		check_size(path, &st, max, flags);

		/* One byte to see that it grew, and a NUL */
		*allocated = (Size) st.st_size + 2;
		text = kv_locked_alloc(*allocated);
		*len = read_all(fd, path, text, *allocated - 1);
		if (*len != (Size) st.st_size)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("file \"%s\" changed while it was read", path),
					 errhint("Try again. Replace such a file by renaming a complete one, do not write into it.")));
	}
	PG_CATCH();
	{
		(void) CloseTransientFile(fd);
		kv_locked_free(text, *allocated);
		PG_RE_THROW();
	}
	PG_END_TRY();

	(void) CloseTransientFile(fd);
	return text;
}

/* Reports errno about the folder that a file shall be in. */
static void
report_no_folder(const char *folder)
{
	if (errno != ENOENT)
		report_errno("open", folder);
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("folder \"%s\" does not exist", folder),
			 errhint("Make it, as root: install -d -o %s -m 0700 \"%s\"",
					 kv_server_user(), folder)));
}

char *
kv_private_file_resolve(const char *path, int flags)
{
	char		resolved[PATH_MAX];
	char	   *target;

	if (resolve_existing(path, resolved))
		target = pstrdup(resolved);
	else
	{
		char	   *name = pstrdup(path);
		char	   *folder;

		canonicalize_path(name);
		folder = pstrdup(name);
		get_parent_directory(folder);
		if (realpath(folder, resolved) == NULL)
			report_no_folder(folder);
		target = psprintf("%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved,
						  last_dir_separator(name) + 1);
	}
	check_place(path, target, flags);
	return target;
}

bool
kv_private_file_is_own(const char *path, struct stat *st)
{
	if (lstat(path, st) != 0)
	{
		if (errno != ENOENT)
			report_errno("read", path);
		return false;
	}
	check_regular(path, st);
	if (st->st_uid != geteuid())
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("file \"%s\" does not belong to the server's user", path),
				 errdetail("The server changes only files of its own."),
				 errhint("Run: chown %s \"%s\", or change the file by hand.",
						 kv_server_user(), path)));
	return true;
}
