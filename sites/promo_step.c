#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/promo_inner.h"

struct promo_effect *
promo_emit(struct promo_step_context *context, enum promo_effect_kind kind, const char *node)
{
    struct promo_effects *effects = context->effects;
    ASSERT(effects->count < PROMO_EFFECTS_MAX);
    struct promo_effect *effect = &effects->list[effects->count++];
    *effect = (struct promo_effect){ .kind = kind };
    if (node != NULL)
        ASSERT(str_copy(effect->node, sizeof effect->node, node));
    return effect;
}

void
promo_arm_alarm(struct promo *promo, struct promo_step_context *context, uint64_t after_ms)
{
    promo->deadline_ms = context->event->now_ms + after_ms;
    promo_emit(context, PROMO_DO_ALARM, NULL)->at_ms = promo->deadline_ms;
}

void
promo_step_note(struct promo *promo, const char *format, ...)
{
    if (promo->step_count == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(promo->steps[promo->step_count - 1].text, PROMO_TEXT_SIZE, format, arguments);
    va_end(arguments);
}

struct promo_member *
promo_member_find(struct promo *promo, const char *name)
{
    for (size_t i = 0; name != NULL && i < promo->member_count; i++) {
        if (strcmp(promo->members[i].name, name) == 0)
            return &promo->members[i];
    }
    return NULL;
}

struct promo_member *
promo_member_self(struct promo *promo)
{
    struct promo_member *self = promo_member_find(promo, promo->self);
    ASSERT(self != NULL);
    return self;
}

enum promo_state
promo_finish_failed(struct promo *promo, struct promo_step_context *context)
{
    promo->deadline_ms = 0;
    (void)promo_emit(context, PROMO_DO_FINISHED, NULL);
    return PROMO_STATE_FAILED;
}

/* What to repeat after the point of no return: only forward. */
void
promo_mend_repeat(struct promo *promo)
{
    (void)err_mend(&promo->failure,
                   "repeat 'baton promote %s': it goes on with a later epoch, nothing is lost",
                   promo->self);
}
