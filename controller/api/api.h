/*
 * api.h -- the HTTPS API: requests in, answers out. docs/api.yaml says what each route takes and
 * gives; routes.h is the same table in C, and tests keep the two equal.
 *
 *   request -> route -> who asks (auth.h) -> role -> query, body -> handler
 *   handler -> { cache: at once, database of this node, intake (writes), driver (promotions) }
 *
 *   A1  No handler runs before the caller's role was compared with the route's.
 *   A2  A secret (user/NAME, token/ID, secret/NAME) leaves through no route.
 *   A3  Each request is answered exactly once; the database and peers may answer after the client
 *       has gone.
 *   A4  Who wrote through this node and then reads here, or asks for something that is judged by
 *       what was written, sees the write (fresh.h), and so does who does it at the primary,
 *       wherever it was written. Nothing waits for that which watches the node itself (health,
 *       status, metrics, the doctor, the members), promotes, or writes keys that are free (app/).
 */
#pragma once

#include <json-c/json.h>

#include "controller/base/err.h"
#include "controller/daemon/writer.h"

struct api;
struct core;
struct http_request;

/* For http_options.body_size_max: a forwarded write holds more than a client may send at once. */
#define API_BODY_SIZE_MAX        (1024UL * 1024)
#define API_SERVER_BODY_SIZE_MAX (4UL * 1024 * 1024)

/* Needs core->{loop, home, worker, cache, tail, writer, driver}; server may come later. */
MUST_CHECK enum err_code api_new(struct core *core, struct api **ret_api, struct err *err);
/* The handler for http_server_open(); 'data' is the api. */
void api_handle(void *data, struct http_request *request);
/* Refuses new requests with 503, ends event streams and held writes. Then the server, the writer
 * and the worker are closed, which answers what is left, and then the api is freed. */
void api_stop(struct api *api);
/* A write of this node itself, wherever the primary is; takes 'group' (writer.h). 'done' is called
 * once, at the latest by api_free(). */
void api_write(struct api *api, struct json_object *group, writer_done_fn *done, void *data);
/* Our database was started anew. */
void api_reconnect(struct api *api);
void api_free(struct api *api);
