/* Over which instances of a connector requests are spread (A1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/own.h"
#include "sites/spread.h"

static void
an_address_is_a_number_with_its_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *read; /* NULL: refused */
    } rows[] = {
        { "192.0.2.7:8443", "192.0.2.7:8443" },
        { "[2001:DB8:0:0::7]:8443", "[2001:db8::7]:8443" }, /* as a proxy writes it */
        { "[::1]:1", "[::1]:1" },
        { "127.0.0.1:65535", "127.0.0.1:65535" },
        { "gate-1:8443", NULL },
        { "192.0.2.7", NULL },
        { "192.0.2.7:", NULL },
        { "192.0.2.7:0", NULL },
        { "192.0.2.7:65536", NULL },
        { "192.0.2.7:8443;disable", NULL },
        { "192.0.2:8443", NULL },
        { "2001:db8::7:8443", NULL },
        { "[2001:db8::7]8443", NULL },
        { "[2001:db8::7", NULL },
        { "[192.0.2.7]:8443", NULL },
        { "", NULL },
        { ":8443", NULL },
        { "[fe80::1%eth0]:8443", NULL },
        { "1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:80", NULL },
        /* no server stands there */
        { "0.0.0.0:80", NULL },
        { "169.254.169.254:80", NULL },
        { "224.0.0.1:80", NULL },
        { "255.255.255.255:80", NULL },
        { "[::]:80", NULL },
        { "[fe80::1]:80", NULL },
        { "[ff02::1]:80", NULL },
        { "[::ffff:169.254.169.254]:80", NULL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct spread_address address = { .port = 0 };
        char text[SPREAD_ADDRESS_SIZE];
        const char *fault = spread_address_read(rows[i].text, &address);
        if ((fault == NULL) != (rows[i].read != NULL))
            fail_msg("'%s': %s", rows[i].text, fault == NULL ? "is taken" : fault);
        assert_string_equal(spread_address_text(&address, text),
                            rows[i].read == NULL ? "" : rows[i].read);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_number_with_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
