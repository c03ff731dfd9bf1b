/* Who is there? Nobody, and nobody who could be asked, are told apart (backup.h, B4). */
#include "controller/loop/contact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_who_could_not_be_asked_is_not_silent(void **state)
{
    (void)state;
    struct contact contacts[] = {
        { .address = "127.0.0.1:1" },                 /* nobody listens */
        { .address = "127.0.0.1:no-such-service-x" }, /* fails as a name does, and asks no server */
        { .address = "nowhere" },
    };
    contact_ask("6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001", contacts, 3);
    assert_int_equal(contacts[0].answer, CONTACT_SILENT);
    assert_int_equal(contacts[1].answer, CONTACT_UNASKED);
    assert_int_equal(contacts[2].answer, CONTACT_UNASKED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_could_not_be_asked_is_not_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
