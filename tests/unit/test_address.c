/* To which addresses requests are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/base/own.h"
#include "sites/address.h"

static void
link_local_and_the_like_get_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool allowed;
    } rows[] = {
        { "10.1.2.3", true },
        { "127.0.0.1", true },
        { "192.168.7.7", true },
        { "8.8.8.8", true },
        { "169.254.169.254", false },
        { "169.253.255.255", true },
        { "0.0.0.0", false },
        { "224.0.0.1", false },
        { "255.255.255.255", false },
        { "::1", true },
        { "fd00::7", true },
        { "2001:db8::1", true },
        { "fe80::1", false },
        { "ff02::1", false },
        { "::", false },
        { "::ffff:169.254.169.254", false },
        { "::ffff:10.0.0.1", true },
        { "::169.254.169.254", false },
        { "64:ff9b::169.254.169.254", false }, /* through a NAT64 */
        { "64:ff9b::10.0.0.1", true },
        { "64:ff9b:1::a9fe:a9fe", true },
        { "2002:a9fe:a9fe::1", false }, /* through 6to4 */
        { "2002:0a00:0001::1", true },
        { "tcf1.east", true },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (address_allowed(rows[i].address) != rows[i].allowed)
            fail_msg("%s", rows[i].address);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(link_local_and_the_like_get_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
