#!/usr/bin/env bash
# A LAMMPS from its sources with the pair style in it as a package, and the plugin for it; both against ASE.
#
#     scripts/lammps/own_lammps.sh /path/to/lammps MODEL.pt STRUCTURE [cmake options, such as -D LAMMPS_SIZES=bigbig]
#
# Needs cmake, a C++17 compiler and mhdnn. Without MPI: -D BUILD_MPI=no. LAMMPS is built in /path/to/lammps/build-mhdnn;
# in its sources the folder src/MHDNN is new, and MHDNN a word more in the list of packages.
set -euo pipefail

lammps=$(realpath "$1") model=$(realpath "$2") structure=$(realpath "$3")
options=("${@:4}")
build=$lammps/build-mhdnn
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

rm -rf "$lammps/src/MHDNN"
mhdnn lammps package "$lammps/src/MHDNN"
grep -qx '  MHDNN' "$lammps/cmake/CMakeLists.txt" ||
    sed -i 's/^set(STANDARD_PACKAGES$/&\n  MHDNN/' "$lammps/cmake/CMakeLists.txt"
cmake -S "$lammps/cmake" -B "$build" -D PKG_MHDNN=yes -D PKG_PLUGIN=yes -D CMAKE_CXX_STANDARD=17 \
    -D CMAKE_CXX_FLAGS="-march=native -fno-math-errno" "${options[@]}"
cmake --build "$build" --parallel "$(nproc)" --target lmp

value() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
sizes=$(value LAMMPS_SIZES | tr '[:lower:]' '[:upper:]')
flags="-DLAMMPS_${sizes:-SMALLBIG}" compiler=c++ commands=("$build/lmp")
if [[ $(value BUILD_MPI) =~ ^(on|ON|yes|YES|true|TRUE|1)$ ]]; then
    compiler=$(value MPI_CXX_COMPILER)
    commands+=("$(dirname "$compiler")/mpirun -n 2 $build/lmp")
else
    flags="$flags -I$lammps/src/STUBS"
fi
plugin=$(mhdnn lammps build "include=$lammps/src" "compiler=$compiler" "flags=$flags" | tail -n 1)

for command in "${commands[@]}"; do
    echo "$command, as a package"
    python "$here/compare_with_ase.py" "$model" "$structure" --lammps "$command"
    echo "$command, as a plugin"
    python "$here/compare_with_ase.py" "$model" "$structure" --lammps "$command" --plugin "$plugin"
done
