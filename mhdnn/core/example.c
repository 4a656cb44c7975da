/* Energy, forces and virial of a few atoms in a periodic box, in C:
 *
 *     cd mhdnn/core
 *     flags="-O3 -march=native -fno-math-errno -fopenmp -std=c++17"
 *     c++ $flags -I. -I../kernels/source -c *.cpp electrostatics/[a-z]*.cpp
 *     cc -c example.c
 *     c++ -fopenmp *.o -o example
 *     ./example model.pt < atoms.txt
 *
 * atoms.txt: the number of atoms, three cell vectors (a line each, no angle far from 90°), and for each atom its atomic
 * number and position, Å, within the cell or not.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mhdnn.h"

typedef struct {
    int64_t count, room;
    int64_t* pairs;
    double* vectors;
} Pairs;

static void add_pair(Pairs* list, int64_t center, int64_t neighbor, const double* vector) {
    if (list->count == list->room) {
        list->room = 2 * list->room + 64;
        list->pairs = realloc(list->pairs, 2 * list->room * sizeof *list->pairs);
        list->vectors = realloc(list->vectors, 3 * list->room * sizeof *list->vectors);
    }
    list->pairs[2 * list->count] = center;
    list->pairs[2 * list->count + 1] = neighbor;
    for (int axis = 0; axis < 3; ++axis) list->vectors[3 * list->count + axis] = vector[axis];
    ++list->count;
}

static void cross(const double* a, const double* b, double* result) {
    for (int axis = 0; axis < 3; ++axis) {
        const int next = (axis + 1) % 3, last = (axis + 2) % 3;
        result[axis] = a[next] * b[last] - a[last] * b[next];
    }
}

static double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* Atoms are moved into the cell by whole cell vectors, which changes nothing but the images that are nearest. */
static void wrap(int64_t num_atoms, double* positions, const double* cell) {
    for (int a = 0; a < 3; ++a) {
        const double* v = cell + 3 * a;
        double normal[3];
        cross(cell + 3 * ((a + 1) % 3), cell + 3 * ((a + 2) % 3), normal);
        for (int64_t i = 0; i < num_atoms; ++i) {
            double* r = positions + 3 * i;
            const double cells = floor(dot(r, normal) / dot(v, normal));
            for (int axis = 0; axis < 3; ++axis) r[axis] -= cells * v[axis];
        }
    }
}

/* Every atom with every image of every other one, for atoms within the cell: simple, and slow for many atoms. */
static Pairs find_pairs(int64_t num_atoms, const double* positions, const double* cell, double cutoff) {
    Pairs list = {0, 0, NULL, NULL};
    int most[3];
    for (int a = 0; a < 3; ++a) {
        const double* v = cell + 3 * a;
        most[a] = 1 + (int)(2.0 * cutoff / sqrt(dot(v, v)));
    }
    for (int64_t i = 0; i < num_atoms; ++i)
        for (int64_t j = 0; j < num_atoms; ++j)
            for (int a = -most[0]; a <= most[0]; ++a)
                for (int b = -most[1]; b <= most[1]; ++b)
                    for (int c = -most[2]; c <= most[2]; ++c) {
                        double r[3], square = 0.0;
                        for (int axis = 0; axis < 3; ++axis) {
                            r[axis] = positions[3 * j + axis] - positions[3 * i + axis] + a * cell[axis] +
                                      b * cell[3 + axis] + c * cell[6 + axis];
                            square += r[axis] * r[axis];
                        }
                        /* what is no number is left to mhdnn_compute, which refuses it */
                        if (!(square >= cutoff * cutoff) && !(i == j && a == 0 && b == 0 && c == 0))
                            add_pair(&list, i, j, r);
                    }
    return list;
}

int main(int argc, char** argv) {
    int count = 0;
    double cell[9];
    const int periodic[3] = {1, 1, 1};
    if (argc != 2 || scanf("%d", &count) != 1 || count < 1) {
        fprintf(stderr, "usage: example model.pt < atoms.txt\n");
        return 1;
    }
    for (int i = 0; i < 9; ++i)
        if (scanf("%lf", cell + i) != 1) return 1;
    int* numbers = malloc(count * sizeof *numbers);
    double *positions = malloc(3 * count * sizeof *positions), *forces = malloc(3 * count * sizeof *forces);
    for (int i = 0; i < count; ++i)
        if (scanf("%d %lf %lf %lf", numbers + i, positions + 3 * i, positions + 3 * i + 1, positions + 3 * i + 2) != 4)
            return 1;

    mhdnn_model* model = mhdnn_open(argv[1], "model");
    if (!model) {
        fprintf(stderr, "%s\n", mhdnn_last_error());
        return 1;
    }
    wrap(count, positions, cell);
    Pairs list = find_pairs(count, positions, cell, mhdnn_cutoff(model));
    const mhdnn_atoms atoms = {
        .num_atoms = count,
        .atomic_numbers = numbers,
        .num_pairs = list.count,
        .pairs = list.pairs,
        .vectors = list.vectors,
        .positions = positions,
        .cell = cell,
        .periodic = periodic,
    };
    mhdnn_result result = {0};
    result.forces = forces;
    if (mhdnn_compute(model, &atoms, &result) != 0) {
        fprintf(stderr, "%s\n", mhdnn_last_error());
        return 1;
    }
    printf("energy %.15g eV\nvirial", result.energy);
    for (int c = 0; c < 6; ++c) printf(" %.15g", result.virial[c]);
    printf(" eV\n");
    for (int i = 0; i < count; ++i)
        printf("force %.15g %.15g %.15g eV/A\n", forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]);
    mhdnn_close(model);
    free(numbers);
    free(positions);
    free(forces);
    free(list.pairs);
    free(list.vectors);
    return 0;
}
