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
#define check(condition) \
	do { \
		if (!(condition)) \
		{ \
			if (tap_passing) \
				printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			tap_passing = false; \
		} \
	} while (0)

/* As check, but without which the rest of the test makes no sense. */
#define require(condition) \
	do { \
		check(condition); \
		if (!(condition)) \
			return; \
	} while (0)

#define run(test) tap_run(test, #test)

static inline void
tap_run(void (*test) (void), const char *name)
{
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
