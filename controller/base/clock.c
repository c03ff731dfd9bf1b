#include "controller/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/base/check.h"

uint64_t
clock_now_us(void)
{
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t
clock_now_ms(void)
{
    return clock_now_us() / 1000u;
}

int64_t
clock_wall_ms(void)
{
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *
clock_wall_text(int64_t wall_ms, char text[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char day[24];
    ASSERT(gmtime_r(&seconds, &parts) != NULL);
    ASSERT(strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) != 0);
    (void)snprintf(text, CLOCK_TEXT_SIZE, "%s.%03dZ", day, (int)(wall_ms % 1000));
    return text;
}

bool
clock_wall_parse(const char *text, int64_t *ret_wall_ms)
{
    struct tm parts = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL)
        return false;
    int64_t fraction_ms = 0;
    if (*rest == '.') {
        int64_t weight = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10)
            fraction_ms += (*rest - '0') * weight;
    }
    if (strcmp(rest, "Z") != 0)
        return false;
    *ret_wall_ms = (int64_t)timegm(&parts) * 1000 + fraction_ms;
    return true;
}
