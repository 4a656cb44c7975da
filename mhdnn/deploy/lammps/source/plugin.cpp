// What LAMMPS calls when it loads this plugin.
#include <cstdio>

#include <mpi.h>

#include "lammps.h"
#include "pair_mhdnn.h"

extern "C" {
int lammps_version(void*);
int lammps_extract_setting(void*, const char*);
int lammps_config_has_mpi_support();
}

namespace {

// The record of LAMMPS's plugin interface (lammpsplugin.h, which installations don't always bring along).
struct Plugin {
    const char *version, *style, *name, *info, *author;
    union {
        void* (*v1)(void*);
        void* (*v2)(void*, int, char**);
    } creator;
    void* handle;
};

void* create_pair(void* lammps) {
    return static_cast<LAMMPS_NS::Pair*>(new LAMMPS_NS::PairMHDNN(static_cast<LAMMPS_NS::LAMMPS*>(lammps)));
}

// Why classes and numbers have another layout in this LAMMPS, or null.
const char* mismatch(void* lammps) {
    if (lammps_extract_setting(lammps, "tagint") != sizeof(LAMMPS_NS::tagint))
        return sizeof(LAMMPS_NS::tagint) == 4 ? "has LAMMPS_BIGBIG: add flags=-DLAMMPS_BIGBIG"
                                              : "has LAMMPS_SMALLBIG: leave out flags=-DLAMMPS_BIGBIG";
#ifdef MPI_STUBS
    if (lammps_config_has_mpi_support()) return "has MPI: give compiler=mpicxx instead of the headers in src/STUBS";
#else
    if (!lammps_config_has_mpi_support()) return "has no MPI: add flags=-I/path/of/lammps/src/STUBS";
#endif
    return nullptr;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(
    void* lammps, void* handle, void* register_plugin) {
    // classes of another version have another layout: refuse instead of crashing
    if (lammps_version(lammps) != MHDNN_LAMMPS_VERSION) {
        std::fprintf(
            stderr,
            "mhdnn: this plugin was built for LAMMPS %d and can't be used in LAMMPS %d; run `mhdnn lammps build`\n",
            MHDNN_LAMMPS_VERSION, lammps_version(lammps));
        return;
    }
    if (const char* const reason = mismatch(lammps)) {
        std::fprintf(
            stderr, "mhdnn: this plugin was built for another LAMMPS: this one %s, and run `mhdnn lammps build`\n",
            reason);
        return;
    }
    Plugin plugin{};
    plugin.version = static_cast<LAMMPS_NS::LAMMPS*>(lammps)->version;
    plugin.style = "pair";
    plugin.name = "mhdnn";
    plugin.info = "mhdnn: symmetry functions, shared network, charge equilibration";
    plugin.author = "the authors of mhdnn";
    plugin.creator.v1 = create_pair;
    plugin.handle = handle;
    reinterpret_cast<void (*)(Plugin*, void*)>(register_plugin)(&plugin, lammps);
}
