#include "controller/cli/trust.h"

#include <string.h>

#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/contact.h"

#define PIN_PREFIX "sha256:"

enum err_code
trust_read_ca(const char *path, char **ret_pem, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    struct cert_info info;
    enum err_code code = file_read(path, CERT_PEM_SIZE_MAX, &text, err);
    if (code != ERR_NONE)
        return code;
    struct err cause;
    if (cert_read(buf_text(&text), &info, &cause) != ERR_NONE)
        return err_set(err, ERR_INVALID, "ca_file", "CA file '%s': %s", path, cause.text);
    if (!info.is_ca) {
        (void)err_set(err, ERR_INVALID, "ca_file", "CA file '%s': it is the certificate of '%s'",
                      path, info.common_name);
        return err_mend(err, "take ca.crt of the data directory of any node");
    }
    *ret_pem = buf_take(&text);
    return ERR_NONE;
}

enum err_code
trust_find_ca(const char *url, const char *pin, char **ret_pem, struct err *err)
{
    uint8_t wanted[CERT_PIN_SIZE];
    if (!str_starts(pin, PIN_PREFIX) || strlen(pin) != strlen(PIN_PREFIX) + 2 * sizeof wanted ||
        !str_from_hex(pin + strlen(PIN_PREFIX), wanted, sizeof wanted))
        return err_set(err, ERR_INVALID, "pin", "--pin '%s': must be sha256: and 64 hex digits",
                       pin);
    enum err_code code = contact_find_ca(url + strlen("https://"), wanted, ret_pem, err);
    if (code == ERR_DENIED)
        return err_mend(err,
                        "is the address right? take the pin from baton init, or use --ca FILE");
    return code == ERR_NONE ? code : err_mend(err, "ask another node with --server");
}
