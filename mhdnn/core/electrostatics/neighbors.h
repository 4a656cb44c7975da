// Neighbours of atoms within a cutoff, every image of them, at a cost linear in the atoms.
//
// The short-range pairs are the caller's (LAMMPS's, or vesin's in Python). These are found here because a process needs
// the rows of its own atoms only, and places of images in an order in which sums over them run through memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "buffer.h"
#include "vectors.h"

namespace mhdnn::electrostatics {

// Atoms and their images near the cell, near ones in memory near each other: "places".
struct Images {
    std::vector<std::int32_t> atom;   // of each place
    std::vector<std::int32_t> shift;  // of each place: which of the shifts
    std::vector<std::int32_t> own;    // of each atom: its place in the cell
    std::vector<double> x, y, z;      // of each place, Å

    std::int64_t count() const { return static_cast<std::int64_t>(atom.size()); }
    // Of each place, from a value of each atom.
    Buffer<double> spread(const std::vector<double>& values) const;
};

// Row after row the neighbours of some atoms, in both directions.
struct Neighbors {
    Rows rows;
    Images images;
    std::vector<std::int64_t> starts;  // of each row; pairs may be missing before the next one begins
    std::vector<std::int32_t> counts;  // of each row
    Buffer<std::int32_t> place;        // of each pair
    Buffer<double> squared;            // of each pair, Å²
    double largest_squared;            // none is above it, Å²

    std::int64_t own_place(std::int64_t row) const { return images.own[rows.first + row]; }
    // From a place to the neighbour of a pair, Å.
    Vector3 vector(std::int64_t from, std::int64_t pair) const {
        const std::int32_t to = place[pair];
        return {images.x[to] - images.x[from], images.y[to] - images.y[from], images.z[to] - images.z[from]};
    }
};

// What is asked for, in a cell with three periodic directions; it may be smaller than the cutoff.
struct NeighborQuery {
    const Matrix3& cell;
    const std::vector<double>& positions;  // of all atoms
    Rows rows;
    double cutoff;
    std::vector<char> silent;  // atoms that have no pairs with each other
};

// Finds neighbours. Candidates within a margin beyond the cutoff are kept and serve until atoms or cell have moved too
// far; a changed order of atoms looks like a large motion.
class NeighborSearch {
public:
    explicit NeighborSearch(double margin = 0.0) : margin_(margin) {}
    Neighbors find(const NeighborQuery& query);

private:
    struct Candidates {
        std::vector<double> given, wrapped;  // positions of all atoms: as they came, and within the cell, Å
        Images images;
        std::vector<Vector3> shifts, numbers;  // Å, and in units of the cell vectors
        std::vector<char> silent;
        Rows rows;
        double reach;
        std::vector<std::int64_t> starts;
        std::vector<std::int32_t> place;
    };
    static Candidates search(const NeighborQuery& query, double reach);
    bool still_serves(const NeighborQuery& query) const;
    Images images_now(const NeighborQuery& query) const;

    double margin_;  // Å
    std::optional<Candidates> kept_;
};

// All other atoms, without images.
Neighbors all_neighbors(const std::vector<double>& positions, Rows rows);

}  // namespace mhdnn::electrostatics
