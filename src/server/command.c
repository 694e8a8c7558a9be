/*
 * command.c
 *		Runs a shell command and takes its output into locked memory.
 *
 * OpenPipeStream() will not do: its stream is buffered in ordinary memory, it
 * has no time limit, and a query that is cancelled would wait for the command.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "server/command.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/locked_memory.h"

#define FIRST_BUFFER_SIZE	(16 * 1024)
#define LONGEST_NAP_MS		50

/* Everything that must be undone when the command does not come to its end. */
typedef struct Command
{
	const char *setting;
	pid_t		pid;			/* 0: not started, or reaped */
	int			pipe;			/* -1: closed */
	int			exit_status;
	int			timeout_ms;
	instr_time	started;
	char	   *buffer;
	Size		allocated;
	Size		len;
} Command;

static void
close_pipe(Command *command)
{
	if (command->pipe < 0)
		return;
	close(command->pipe);
	command->pipe = -1;
	ReleaseExternalFD();
}

/* Kills the command with all that it started, and frees what it printed. */
static void
clean_up(int code, Datum arg)
{
	Command    *command = (Command *) DatumGetPointer(arg);

	if (command->pid > 0)
	{
		(void) kill(-command->pid, SIGKILL);
		(void) kill(command->pid, SIGKILL);
		while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
			 /* again */ ;
		command->pid = 0;
	}
	close_pipe(command);
	kv_locked_free(command->buffer, command->allocated);
	command->buffer = NULL;
}

/* The server's environment, in which variable stands for what had its name. */
static char **
environment_with(const char *variable)
{
	const size_t name_len = strcspn(variable, "=") + 1;
	int			count = 0;
	char	  **result;
	char	  **end;

	while (environ[count] != NULL)
		count++;
	result = end = palloc(sizeof(char *) * (count + 2));
	for (int i = 0; i < count; i++)
	{
		if (strncmp(environ[i], variable, name_len) != 0)
			*end++ = environ[i];
	}
	*end++ = pstrdup(variable);
	*end = NULL;
	return result;
}

/* Between fork and exec: only what a signal handler may do, too. */
static void
close_all_but_standard(void)
{
	long		limit;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
		return;
#endif
	limit = sysconf(_SC_OPEN_MAX);
	for (int fd = 3; fd < limit; fd++)
		close(fd);
}

/* What the child does until it is the shell. */
static void
become_shell(const char *command, char *const *environment, int null_fd, int output_fd)
{
	sigset_t	none;

	(void) setpgid(0, 0);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		(void) signal(signal_number, SIG_DFL);
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);

	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0)
		_exit(126);
	close_all_but_standard();
	(void) execle("/bin/sh", "sh", "-c", command, (char *) NULL, environment);
	_exit(127);
}

pg_noreturn static void
report_not_started(const Command *command, int saved_errno)
{
	errno = saved_errno;
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("could not start %s: %m", command->setting)));
}

static void
start(Command *command, const char *text, char *const *environment)
{
	int			ends[2];
	int			null_fd;
	int			saved_errno;
	sigset_t	all;
	sigset_t	saved_mask;

	if (!AcquireExternalFD())
		report_not_started(command, errno);
	null_fd = BasicOpenFile("/dev/null", O_RDONLY);
	if (null_fd < 0 || pipe(ends) != 0)
	{
		saved_errno = errno;
		if (null_fd >= 0)
			close(null_fd);
		ReleaseExternalFD();
		report_not_started(command, saved_errno);
	}
	command->pipe = ends[0];
	(void) fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	(void) fcntl(ends[0], F_SETFL, O_NONBLOCK);

	/* A handler of the server's must not run in the child. */
	(void) sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &saved_mask);
	command->pid = fork();
	saved_errno = errno;
	if (command->pid == 0)
		become_shell(text, environment, null_fd, ends[1]);
	if (command->pid > 0)
		(void) setpgid(command->pid, command->pid); /* whoever comes first */
	(void) sigprocmask(SIG_SETMASK, &saved_mask, NULL);

	close(null_fd);
	close(ends[1]);
	if (command->pid < 0)
	{
		command->pid = 0;
		report_not_started(command, saved_errno);
	}
}

static int
milliseconds_left(const Command *command)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, command->started);
	return (int) Max(0.0, command->timeout_ms - INSTR_TIME_GET_MILLISEC(now));
}

/* Waits until there is something to read, or for nap_ms when there is no pipe. */
static void
wait_a_while(Command *command, int nap_ms)
{
	int			left = milliseconds_left(command);
	int			events;

	if (left <= 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("%s did not finish within %d ms",
						command->setting, command->timeout_ms),
				 errhint("It was killed. The time limit is key_vault.keyring_command_timeout.")));

	events = WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH;
	if (command->pipe >= 0)
		events = WaitLatchOrSocket(MyLatch, events | WL_SOCKET_READABLE,
								   command->pipe, left, PG_WAIT_EXTENSION);
	else
		events = WaitLatch(MyLatch, events, Min(left, nap_ms), PG_WAIT_EXTENSION);

	if (events & WL_POSTMASTER_DEATH)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("terminating connection due to unexpected postmaster exit")));
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Twice the room; what was there is moved and wiped. */
static void
grow(Command *command)
{
	Size		size = command->allocated * 2;
	char	   *larger = kv_locked_alloc(size);

	memcpy(larger, command->buffer, command->len);
	kv_locked_free(command->buffer, command->allocated);
	command->buffer = larger;
	command->allocated = size;
}

/* Reads up to the end of the output, or throws. */
static void
read_output(Command *command, Size max)
{
	for (;;)
	{
		ssize_t		got;

		if (command->len + 1 >= command->allocated)
			grow(command);
		got = read(command->pipe, command->buffer + command->len,
				   command->allocated - command->len - 1);
		if (got == 0)
			break;
		if (got > 0)
			command->len += (Size) got;
		else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			wait_a_while(command, 0);
		else
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("could not read what %s printed: %m",
							command->setting)));
		if (command->len > max)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("%s printed more than %zu bytes",
							command->setting, max)));
		CHECK_FOR_INTERRUPTS();
	}
	close_pipe(command);
}

/* Waits for the shell to end: it may have closed its output before. */
static void
reap(Command *command)
{
	int			nap_ms = 1;

	for (;;)
	{
		pid_t		result = waitpid(command->pid, &command->exit_status, WNOHANG);

		if (result == command->pid)
			break;
		if (result < 0 && errno != EINTR)
		{
			int			saved_errno = errno;

			command->pid = 0;	/* there is no such child to kill */
			errno = saved_errno;
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("could not wait for %s: %m", command->setting)));
		}
		wait_a_while(command, nap_ms);
		nap_ms = Min(nap_ms * 2, LONGEST_NAP_MS);
	}
	command->pid = 0;
}

static void
check_result(const Command *command)
{
	if (command->exit_status != 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("%s failed: %s", command->setting,
						wait_result_to_str(command->exit_status)),
				 errhint("What it wrote to standard error is in the server log.")));
	if (command->len == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("%s printed nothing", command->setting),
				 errhint("What it wrote to standard error is in the server log.")));
}

char *
kv_command_output(const char *setting, const char *text, const char *variable,
				  int timeout_ms, Size max, Size *len, Size *allocated)
{
	char	  **environment = environment_with(variable);
	Command		command = {0};

	command.setting = setting;
	command.pipe = -1;
	command.timeout_ms = timeout_ms;
	INSTR_TIME_SET_CURRENT(command.started);

	/* Termination of the backend does not pass through PG_CATCH. */
	PG_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&command));
	{
		command.buffer = kv_locked_alloc(FIRST_BUFFER_SIZE);
		command.allocated = FIRST_BUFFER_SIZE;
		start(&command, text, environment);
		read_output(&command, max);
		reap(&command);
		check_result(&command);
	}
	PG_END_ENSURE_ERROR_CLEANUP(clean_up, PointerGetDatum(&command));

	*len = command.len;
	*allocated = command.allocated;
	return command.buffer;
}
