// Arrays with a row for each atom, as lanes.
#pragma once

#include <cstdint>
#include <cstring>

#include "../lanes.h"

namespace mhdnn::cpu {

/// Groups of as many atoms as there are lanes.
template <class T>
std::int64_t num_groups(std::int64_t num_atoms) {
    return (num_atoms + Lanes<T>::width - 1) / Lanes<T>::width;
}

/// Part of a row; a full one is copied at once.
template <class T>
inline void copy_row(const T* from, int count, T* to) {
    if (count == Lanes<T>::width) {
        std::memcpy(to, from, sizeof(Lanes<T>));
    } else {
        for (int i = 0; i < count; ++i) to[i] = from[i];
    }
}

/// Rows of an array (num_atoms, size) as lanes; zero for lanes without an atom.
template <class T>
inline void load_rows(const T* rows, int size, const std::int64_t* atoms, int num_atoms, Lanes<T>* columns) {
    constexpr int width = Lanes<T>::width;
    Lanes<T> square[width];
    for (int first = 0; first < size; first += width) {
        const int count = size - first < width ? size - first : width;
        for (int lane = 0; lane < width; ++lane) {
            square[lane] = Lanes<T>(T(0));
            if (lane < num_atoms)
                copy_row(rows + atoms[lane] * size + first, count, reinterpret_cast<T*>(&square[lane]));
        }
        transpose(square);
        for (int i = 0; i < count; ++i) columns[first + i] = square[i];
    }
}

template <class T>
inline void store_rows(const Lanes<T>* columns, int size, const std::int64_t* atoms, int num_atoms, T* rows) {
    constexpr int width = Lanes<T>::width;
    Lanes<T> square[width];
    for (int first = 0; first < size; first += width) {
        const int count = size - first < width ? size - first : width;
        for (int i = 0; i < width; ++i) square[i] = i < count ? columns[first + i] : Lanes<T>(T(0));
        transpose(square);
        for (int lane = 0; lane < num_atoms; ++lane) {
            copy_row(reinterpret_cast<const T*>(&square[lane]), count, rows + atoms[lane] * size + first);
        }
    }
}

}  // namespace mhdnn::cpu
