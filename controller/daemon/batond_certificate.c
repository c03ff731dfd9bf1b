#include "controller/daemon/batond_certificate.h"

#include <ev.h>
#include <stdlib.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/daemon/admit.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/setup.h"
#include "controller/http/server.h"
#include "controller/loop/cert.h"
#include "controller/loop/fetch.h"
#include "controller/loop/tls.h"
#include "controller/loop/worker.h"
#include "controller/postgres/managed.h"

#define CERTIFICATE_LOOK_S 3600.0
#define CERTIFICATE_DAY_S  86400

struct batond_certificate {
    struct core *core;                    /* borrowed */
    const struct managed_config *managed; /* borrowed */
    ev_timer look;
    bool renewing;
    bool freed; /* the job that is under way frees it */
    struct err err;
    enum err_code code;
};

static enum err_code
read_text(const struct home *home, const char *name, struct buf *into, struct err *err)
{
    CLEANUP(freep) char *path = home_path(home, name);
    return file_read(path, CERT_PEM_SIZE_MAX, into, err);
}

void
batond_certificate_reload(struct batond_certificate *certificate)
{
    struct core *core = certificate->core;
    struct err err;
    CLEANUP(buf_done) struct buf ca = { 0 };
    CLEANUP(buf_done) struct buf own = { 0 };
    CLEANUP(buf_done) struct buf key = { 0 };
    if (read_text(core->home, "ca.crt", &ca, &err) != ERR_NONE ||
        read_text(core->home, "node.crt", &own, &err) != ERR_NONE ||
        read_text(core->home, "node.key", &key, &err) != ERR_NONE) {
        log_error("certificate.reload", "reason=\"%s\"", err.text);
        return;
    }
    struct tls_identity tls = { .ca = buf_text(&ca),
                                .cert = buf_text(&own),
                                .key = buf_text(&key) };
    if (http_server_reload(core->server, &tls, &err) != ERR_NONE) {
        log_error("certificate.reload", "reason=\"%s\"", err.text);
        return;
    }
    fetch_client_forget(core->peers);
    if (core->managed != NULL) {
        if (managed_install_tls(certificate->managed, buf_text(&ca), buf_text(&own), buf_text(&key),
                                &err) != ERR_NONE)
            log_error("certificate.postgres", "reason=\"%s\"", err.text);
        managed_reload(core->managed);
    } else {
        admit_certificate(core->admit);
    }
    log_info("certificate.reload", "ok=1");
}

static void
run_renewal(void *job)
{
    struct batond_certificate *certificate = job;
    certificate->code = setup_renew(certificate->core->home->folder, &certificate->err);
}

static void look_now(struct batond_certificate *certificate);

static void
on_renewed(void *job, bool ran)
{
    struct batond_certificate *certificate = job;
    certificate->renewing = false;
    if (certificate->freed) {
        free(certificate);
        return;
    }
    if (!ran)
        return;
    if (certificate->code != ERR_NONE) {
        log_error("certificate.renew", "reason=\"%s\"", certificate->err.text);
        return;
    }
    log_info("certificate.renew", "ok=1");
    batond_certificate_reload(certificate);
    look_now(certificate);
}

static void
look_now(struct batond_certificate *certificate)
{
    struct core *core = certificate->core;
    CLEANUP(buf_done) struct buf own = { 0 };
    struct cert_info info;
    struct err err;
    int64_t now_s = clock_wall_ms() / 1000;
    if (read_text(core->home, "node.crt", &own, &err) != ERR_NONE ||
        cert_read(buf_text(&own), &info, &err) != ERR_NONE) {
        log_error("certificate.look", "reason=\"%s\"", err.text);
        return;
    }
    int64_t left_s = info.not_after_s > now_s ? info.not_after_s - now_s : 0;
    driver_certificate(core->driver, (int)(left_s / CERTIFICATE_DAY_S));
    if (!cert_renewal_due(&info, now_s) || certificate->renewing)
        return;
    certificate->renewing =
        worker_submit(core->worker, run_renewal, on_renewed, certificate, &err) == ERR_NONE;
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    look_now(CONTAINER_OF(timer, struct batond_certificate, look));
}

struct batond_certificate *
batond_certificate_new(struct core *core, const struct managed_config *managed)
{
    struct batond_certificate *certificate = mem_zero(1, sizeof *certificate);
    certificate->core = core;
    certificate->managed = managed;
    ev_timer_init(&certificate->look, on_look, CERTIFICATE_LOOK_S, CERTIFICATE_LOOK_S);
    ev_timer_start(core->loop, &certificate->look);
    look_now(certificate);
    return certificate;
}

void
batond_certificate_free(struct batond_certificate *certificate)
{
    if (certificate == NULL)
        return;
    ev_timer_stop(certificate->core->loop, &certificate->look);
    if (certificate->renewing)
        certificate->freed = true;
    else
        free(certificate);
}
