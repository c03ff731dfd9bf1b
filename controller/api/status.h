/*
 * status.h -- GET /v1/status from memory: the document is rendered when something has changed or
 * has grown old, and every request in between gets the same bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STATUS_AGE_MS_MAX 100 /* ages in it are of the moment: never older than this */
#define STATUS_AGE_MS_MIN 5   /* however much changes, it is not rendered more often than this */

struct core;
struct status_page;

struct status_page *status_page_new(struct core *core);
void status_page_free(struct status_page *page);
/* The document as JSON text; borrowed until the next call. */
const char *status_page_text(struct status_page *page, uint64_t now_ms, size_t *ret_size);
uint64_t status_page_renders(const struct status_page *page);
