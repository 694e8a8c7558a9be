/*
 * command.h
 *		Runs a shell command and takes its output into locked memory.
 */
#ifndef KV_COMMAND_H
#define KV_COMMAND_H

/*
 * Runs "/bin/sh -c command" with the server's environment and variable, which is
 * "NAME=value", in the data directory, and returns what it printed, with a NUL behind it that *len does not count.
 * The caller frees the result with kv_locked_free(result, *allocated).
 *
 * The command gets no input, and none of the server's file descriptors but
 * standard error, so what it says there is in the server log.  When it takes
 * longer than timeout_ms, and when the query is cancelled, it is killed with
 * everything that it started.
 *
 * setting names the command in messages.  They hold neither the command, which
 * may have a password in it, nor what it printed.  Errors: F0000 when it does not
 * start, fails, prints nothing or more than max bytes, or runs out of time.
 */
extern char *kv_command_output(const char *setting, const char *command,
							   const char *variable, int timeout_ms, Size max,
							   Size *len, Size *allocated);

#endif							/* KV_COMMAND_H */
