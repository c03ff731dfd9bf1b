/*
 * offline.h -- looks at a node's files while batond does not answer: `baton doctor` at 3 a.m.
 */
#pragma once

#include <json-c/json.h>

/* The document of GET /v1/doctor, made from the data directory alone; the caller's. Never fails:
 * what cannot be looked at is a failed check. */
struct json_object *offline_doctor(const char *folder);
