// A wrong clock, for a redis-server that is started with it in LD_PRELOAD.
//   CLOCK_RATE   its seconds in one of the right clock, from the start on
//   CLOCK_AHEAD  by how many seconds it is ahead
//   CLOCK_JUMP   as soon as a file of this name exists it is an hour further ahead
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long start, ahead;
static double rate;
static const char *jump;

static long long right(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static double number(const char *name, double otherwise) {
	const char *text = getenv(name);
	return text ? atof(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
	rate = number("CLOCK_RATE", 1);
	ahead = number("CLOCK_AHEAD", 0) * 1000000;
	jump = getenv("CLOCK_JUMP");
	if (jump)
		jump = strdup(jump); /* servers write their title over the environment */
	start = right();
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
	(void)zone;
	long long us = start + (right() - start) * rate + ahead;
	if (jump && access(jump, F_OK) == 0)
		us += 3600000000LL;
	tv->tv_sec = us / 1000000;
	tv->tv_usec = us % 1000000;
	return 0;
}
