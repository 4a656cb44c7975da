/* Models of mhdnn in C: energies, forces and virials of atoms whose pairs the caller has found.
 *
 * Units are Å, eV and e. A function that fails returns nonzero (mhdnn_open: NULL), and mhdnn_last_error says in a
 * sentence why. A model must be used by one thread at a time; it uses OMP_NUM_THREADS threads itself. core/example.c is
 * an example, and says how it is compiled.
 */
#ifndef MHDNN_H
#define MHDNN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mhdnn_model mhdnn_model;

/* Atoms, and each pair twice: from either atom to the other, periodic images included. All that are nearer than the
 * cutoff are needed; others are left out. */
typedef struct {
    int64_t num_atoms;
    const int* atomic_numbers; /* (num_atoms) */
    int64_t num_pairs;
    const int64_t* pairs;  /* (num_pairs, 2): centre and neighbour, in any order */
    const double* vectors; /* (num_pairs, 3): from centre to neighbour */
    /* of models with charges only */
    const double* positions; /* (num_atoms, 3) */
    const double* cell;      /* (3, 3): vectors in rows */
    const int* periodic;     /* (3): nonzero along periodic cell vectors: none, two or three of them */
    double total_charge;
} mhdnn_atoms;

/* Filled by mhdnn_compute; arrays belong to the caller, and those that are NULL are left out. */
typedef struct {
    double energy;
    double virial[6];     /* derivative of the energy by strain, V times the stress: xx yy zz yz xz xy */
    double* energies;     /* (num_atoms) */
    double* forces;       /* (num_atoms, 3) */
    double* charges;      /* (num_atoms), of models with charges */
    double* force_errors; /* (num_atoms): expected errors of forces, eV/Å; zero if the model knows none */
    int* outside;         /* (num_atoms): nonzero outside the range of the training data */
} mhdnn_result;

/* dtype: "float32", "float64", or "model" for that of the file. */
mhdnn_model* mhdnn_open(const char* path, const char* dtype);
void mhdnn_close(mhdnn_model* model);
double mhdnn_cutoff(const mhdnn_model* model);
int mhdnn_has_charges(const mhdnn_model* model);
int mhdnn_compute(mhdnn_model* model, const mhdnn_atoms* atoms, mhdnn_result* result);

/* Of this thread's last failure. */
const char* mhdnn_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
