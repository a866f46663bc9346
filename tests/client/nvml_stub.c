/* A driver's library with two cards: one that says everything, and one without sensors (NVML_ERROR_NOT_SUPPORTED).
   It is built by test_gpus.py under the name that the client loads. */
#include <stdint.h>
#include <string.h>

typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;
static char cards[2];

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &cards[index]; return 0; }
int nvmlDeviceGetName(void *card, char *name, unsigned size) {
    strncpy(name, card == &cards[0] ? "Large Card" : "Small Card", size);
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *card, utilization *use) {
    if (card != &cards[0]) return 3;
    use->gpu = 87; use->memory = 40;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *card, memory *room) {
    (void)card;
    room->total = 80ull << 30; room->used = 20ull << 30; room->free = 60ull << 30;
    return 0;
}
int nvmlDeviceGetTemperature(void *card, unsigned sensor, unsigned *degrees) {
    if (card != &cards[0] || sensor != 0) return 3;
    *degrees = 61;
    return 0;
}
int nvmlDeviceGetPowerUsage(void *card, unsigned *milliwatts) {
    if (card != &cards[0]) return 3;
    *milliwatts = 312500;
    return 0;
}
