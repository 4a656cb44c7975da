// Numbers of atoms that the pair style sends between processes, and gives to other commands.
#include <cstring>

#include "atom.h"
#include "pair_mhdnn.h"

using namespace LAMMPS_NS;

int PairMHDNN::pack_forward_comm(int n, int* indices, double* values, int, int*) {
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < width_; ++k) *values++ = buffer_[width_ * indices[i] + k];
    return width_ * n;
}

void PairMHDNN::unpack_forward_comm(int n, int first, double* values) {
    for (int i = 0; i < width_ * n; ++i) buffer_[width_ * first + i] = values[i];
}

int PairMHDNN::pack_reverse_comm(int n, int first, double* values) {
    for (int i = 0; i < width_ * n; ++i) values[i] = buffer_[width_ * first + i];
    return width_ * n;
}

void PairMHDNN::unpack_reverse_comm(int n, int* indices, double* values) {
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < width_; ++k) buffer_[width_ * indices[i] + k] += *values++;
}

void* PairMHDNN::extract_peratom(const char* name, int& num_columns) {
    if (strcmp(name, "grade") == 0 && model_ && has_grades()) {
        num_columns = 0;
        if (static_cast<int>(grade_of_atom_.size()) < atom->nmax) grade_of_atom_.resize(atom->nmax, 0.0);
        return grade_of_atom_.data();
    }
    if (strcmp(name, "charge") != 0 || !model_ || !model_->metadata().charges) return nullptr;
    num_columns = 0;
    if (static_cast<int>(charge_of_atom_.size()) < atom->nmax) charge_of_atom_.resize(atom->nmax, 0.0);
    return charge_of_atom_.data();
}

double PairMHDNN::memory_usage() {
    const double num_pairs = static_cast<double>(neighborhood_.pairs().num_pairs());
    return Pair::memory_usage() + num_pairs * (2 * sizeof(std::int64_t) + 3 * sizeof(double)) +
           static_cast<double>(sizeof(double)) * (charge_of_atom_.capacity() + buffer_.capacity() +
                                                  forces_before_.capacity() + grade_of_atom_.capacity());
}
