/*
 * tap.h
 *		Just enough of a test runner: TAP on standard output.
 *
 *		static void the_sky_is_blue(void) { check(sky() == BLUE); }
 *		int main(void) { run(the_sky_is_blue); return finish(); }
 */
#ifndef KV_TAP_H
#define KV_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int	tap_count;
static int	tap_failures;
static bool tap_passing;

/* Notes a failure and goes on, so that one run shows all of them. */
#define check(condition) tap_check((condition), __FILE__, __LINE__, #condition)

/* As check, but for what the rest of the test makes no sense without. */
#define require(condition) \
	do { \
		if (!check(condition)) \
			return; \
	} while (0)

#define run(test) tap_run(test, #test)

static inline bool
tap_check(bool holds, const char *file, int line, const char *condition)
{
	/* One line is enough for a condition in a loop */
	if (!holds && tap_passing)
		printf("# %s:%d: %s\n", file, line, condition);
	tap_passing = tap_passing && holds;
	return holds;
}

static inline void
tap_run(void (*test) (void), const char *name)
{
	/* So that a sanitizer's report does not come before what led to it */
	setvbuf(stdout, NULL, _IOLBF, 0);
	tap_passing = true;
	test();
	if (!tap_passing)
		tap_failures++;
	printf("%s %d - ", tap_passing ? "ok" : "not ok", ++tap_count);
	for (; *name != '\0'; name++)
		putchar(*name == '_' ? ' ' : *name);
	putchar('\n');
	fflush(stdout);
}

static inline int
finish(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

#endif							/* KV_TAP_H */
