/* Models of mhdnn in C: energies, forces and virials of atoms whose pairs the caller has found.
 *
 * Units are Å, eV and e. A function that fails returns nonzero (mhdnn_open: NULL), and mhdnn_last_error says in a
 * sentence why. A model must be used by one thread at a time; it takes several threads itself. core/example.c is
 * an example, and says how it is compiled.
 */
#ifndef MHDNN_H
#define MHDNN_H

#include <stdint.h>

#if defined(__GNUC__)
#define MHDNN_API __attribute__((visibility("default")))
#else
#define MHDNN_API
#endif

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
    const double* vectors; /* (num_pairs, 3): from centre to neighbour; NULL: by positions and shifts */
    /* of models with charges, and where there are no vectors */
    const double* positions; /* (num_atoms, 3) */
    /* of models with charges only */
    const double* cell;  /* (3, 3): vectors in rows */
    const int* periodic; /* (3): nonzero along periodic cell vectors: none, two or three of them */
    double total_charge;
    /* where there are no vectors */
    const double* shifts; /* (num_pairs, 3): what is added to the position of the neighbour */
    int solver;           /* of the charges: 0 chosen, 1 dense, 2 iterative */
} mhdnn_atoms;

/* Filled by mhdnn_compute; arrays belong to the caller, and those that are NULL are left out. */
typedef struct {
    double energy;
    double virial[6];      /* derivative of the energy by strain, V times the stress: xx yy zz yz xz xy */
    double* energies;      /* (num_atoms) */
    double* forces;        /* (num_atoms, 3) */
    double* charges;       /* (num_atoms), of models with charges */
    double* force_errors;  /* (num_atoms): expected errors of forces, eV/Å; zero if the model knows none */
    int* outside;          /* (num_atoms): nonzero outside the range of the training data; it raises force_errors */
    double* function_sums; /* (num_elements, num_functions): sums of scaled functions over the atoms of an element */
} mhdnn_result;

/* What mhdnn_compute returns beside 0. */
enum { MHDNN_FAILED = 1, MHDNN_NOT_FINITE = 2 /* a result is no number; the others are those that were found */ };

/* dtype: "float32", "float64", or "model" for that of the file. */
MHDNN_API mhdnn_model* mhdnn_open(const char* path, const char* dtype);
/* The same from the bytes of a model file, which are copied. path: the name of it in messages. */
MHDNN_API mhdnn_model* mhdnn_open_content(const char* content, int64_t size, const char* path, const char* dtype);
MHDNN_API void mhdnn_close(mhdnn_model* model);
MHDNN_API double mhdnn_cutoff(const mhdnn_model* model);
MHDNN_API int mhdnn_has_charges(const mhdnn_model* model);
MHDNN_API int mhdnn_num_functions(const mhdnn_model* model);
MHDNN_API int mhdnn_compute(mhdnn_model* model, const mhdnn_atoms* atoms, mhdnn_result* result);

/* Why an atom was outside in the last calculation that asked for it, in words; valid until the next call. */
MHDNN_API const char* mhdnn_why_outside(mhdnn_model* model, int64_t atom);

/* Threads of all models, at most 1024; 0: as OMP_NUM_THREADS says. */
MHDNN_API void mhdnn_set_num_threads(int count);

/* Of this thread's last failure. */
MHDNN_API const char* mhdnn_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
