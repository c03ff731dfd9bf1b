#include "sites/gate.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"

enum gate_verdict
gate_decide(const struct gate_state *state, const struct epoch *asked, bool activation)
{
    int order = epoch_compare(asked, &state->highest);
    if (order < 0)
        return GATE_REFUSE;
    return order > 0 && activation ? GATE_RAISE : GATE_PASS;
}

const char *
gate_verdict_name(enum gate_verdict verdict)
{
    static const char *const names[] = { "pass", "raise", "refuse" };
    return names[verdict];
}

char *
gate_state_text(const struct gate_state *state)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    char text[EPOCH_TEXT_SIZE];
    json_add_string(object, "cluster", state->cluster);
    json_add_u64(object, "number", state->highest.number);
    json_add_string(object, "holder", state->highest.holder);
    json_add_string(object, "epoch", epoch_text(&state->highest, text));
    return str_printf("%s\n", json_text(object));
}

enum err_code
gate_state_read(const char *text, size_t size, struct gate_state *ret_state, struct err *err)
{
    CLEANUP(json_putp) struct json_object *object = NULL;
    struct gate_state state = { 0 };
    struct epoch again;
    const char *cluster, *holder, *epoch;
    if (json_read(text, size, &object, NULL) != ERR_NONE ||
        !json_get_string(object, "cluster", &cluster) || cluster[0] == '\0' ||
        !str_copy(state.cluster, sizeof state.cluster, cluster) ||
        !json_get_u64(object, "number", &state.highest.number) ||
        !json_get_string(object, "holder", &holder) ||
        !str_copy(state.highest.holder, sizeof state.highest.holder, holder) ||
        !json_get_string(object, "epoch", &epoch) || !epoch_parse(epoch, &again) ||
        again.number != state.highest.number || strcmp(again.holder, holder) != 0)
        return err_set(err, ERR_INVALID, "gate_state", "it is not the record of a gate");
    *ret_state = state;
    return ERR_NONE;
}
