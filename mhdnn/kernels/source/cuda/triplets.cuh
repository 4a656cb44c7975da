// Angular functions of one atom as sums over pairs of its neighbours.
#pragma once

#include "../triplets.h"
#include "block.cuh"

namespace mhdnn::cuda {

template <class Real>
class TripletKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION TripletKernel(const TripletShape& shape, const Arguments<T>& arguments, int tile, Memory& memory)
        : given_(shape), shape_(shape), model_(arguments, shape.num_elements, shape.num_channels, memory), tile_(tile),
          radial_row_(row_length(2 * shape.num_radial)), work_row_(row_length(work_size())),
          num_parts_(parts_of(shape)), lists_(memory.take<std::int64_t>(2 * (shape.num_angular + shape.num_powers))),
          sums_(memory.take<Real>(std::size_t(num_parts_) * sums_size())),
          sum_gradient_(memory.take<Real>(model_.has_cotangent() ? sums_size() : 0)),
          by_pair_weight_(memory.take<Real>(model_.has_cotangent() ? num_element_pairs() * num_channel_pairs() : 0)),
          first_(take_side_tile(memory)), second_(take_side_tile(memory)),
          work_(memory.take<Real>(std::size_t(tile) * work_row_)), pair_elements_(memory.take<int>(tile)) {
        shape_.radial_index = lists_;
        shape_.power_index = lists_ + shape.num_angular;
        shape_.zetas = lists_ + 2 * shape.num_angular;
        shape_.lambdas = lists_ + 2 * shape.num_angular + shape.num_powers;
    }

    MHDNN_DEVICE void prepare() {
        model_.load();
        share(shape_.num_angular, [&](int f) {
            lists_[f] = given_.radial_index[f];
            lists_[shape_.num_angular + f] = given_.power_index[f];
        });
        share(shape_.num_powers, [&](int p) {
            lists_[2 * shape_.num_angular + p] = given_.zetas[p];
            lists_[2 * shape_.num_angular + shape_.num_powers + p] = given_.lambdas[p];
        });
    }

    /// Sums over pairs of neighbours.
    MHDNN_DEVICE void evaluate(Neighbors neighbors) {
        share(num_parts_ * sums_size(), [&](int i) { sums_[i] = constant<Real>(T(0)); });
        for (int first = 0; first < neighbors.count; first += tile_) {
            __syncthreads();
            stage(neighbors, first, first_);
            __syncthreads();
            add_pairs_of_one_tile();
            for (int second = first + tile_; second < neighbors.count; second += tile_) {
                __syncthreads();
                stage(neighbors, second, second_);
                __syncthreads();
                add_pairs_of_two_tiles();
            }
        }
        __syncthreads();
        share(sums_size(), [&](int i) {
            for (int part = 1; part < num_parts_; ++part) sums_[i] = sums_[i] + sums_[part * sums_size() + i];
        });
        __syncthreads();
    }

    MHDNN_DEVICE void functions(T* functions) const {
        const int num_channels = shape_.num_channels, num_angular = shape_.num_angular;
        share(num_channels * num_channels * num_angular, [&](int i) {
            const int f = i % num_angular, a = i / num_angular / num_channels, b = i / num_angular % num_channels;
            if (a > b) return;
            functions[unordered_pair(a, b, num_channels) * num_angular + f] =
                result(mixed_pair(shape_, model_.table(), sums_, a, b, f));
        });
    }

    MHDNN_DEVICE void gradients(Neighbors neighbors, const T* cotangent, T* table_gradient) {
        const int num_elements = shape_.num_elements, num_angular = shape_.num_angular;
        share(num_elements * num_elements * num_angular, [&](int i) {
            const int f = i % num_angular, d = i / num_angular / num_elements, e = i / num_angular % num_elements;
            if (d > e) return;
            sum_gradient_[unordered_pair(d, e, num_elements) * num_angular + f] =
                unmixed_pair(shape_, model_.table(), cotangent, d, e, f);
        });
        share(num_element_pairs() * num_channel_pairs(), [&](int i) {
            by_pair_weight_[i] =
                pair_weight_gradient(shape_, sums_, cotangent, i / num_channel_pairs(), i % num_channel_pairs());
        });
        __syncthreads();
        share(num_elements * shape_.num_channels, [&](int i) {
            const int element = i / shape_.num_channels, channel = i % shape_.num_channels;
            table_gradient[i] =
                result(weight_gradient_of_pairs(shape_, model_.table(), by_pair_weight_, element, channel));
        });
        for (int first = 0; first < neighbors.count; first += tile_) {
            gradients_of_tile(neighbors, first);
            __syncthreads();
        }
    }

private:
    /// Neighbours in shared memory.
    struct SideTile {
        int count;
        Side<Real>* sides;
        Real* radial;  // a row of values and slopes for each
        int* elements;
    };

    /// What a thread adds up for its neighbour, and its working space.
    struct Gradient {
        Real *by_direction, *by_vector, *by_radial, *unused, *scratch;
    };

    MHDNN_FUNCTION int num_element_pairs() const { return num_unordered_pairs(shape_.num_elements); }
    MHDNN_FUNCTION int num_channel_pairs() const { return num_unordered_pairs(shape_.num_channels); }
    MHDNN_FUNCTION int sums_size() const { return num_element_pairs() * shape_.num_angular; }
    MHDNN_FUNCTION int triangle_numbers() const { return 2 * (shape_.num_radial + shape_.num_powers); }
    MHDNN_FUNCTION int work_size() const {
        const int gradient_size = 6 + 2 * shape_.num_radial + triangle_scratch(shape_);
        return triangle_numbers() + (model_.has_cotangent() ? gradient_size : 0);
    }

    /// Several threads add up a function, each its part of the triangles, where there are few functions. The number
    /// depends on the shape only, not on the threads there are, so that the order of summation is always the same.
    MHDNN_FUNCTION static int parts_of(const TripletShape& shape) {
        constexpr int good_number = 128;
        return shape.num_angular == 0 || shape.num_angular > good_number ? 1 : good_number / shape.num_angular;
    }

    MHDNN_FUNCTION SideTile take_side_tile(Memory& memory) const {
        Side<Real>* sides = memory.take<Side<Real>>(tile_);
        Real* radial = memory.take<Real>(std::size_t(tile_) * radial_row_);
        return {0, sides, radial, memory.take<int>(tile_)};
    }

    /// Each place by one thread, always the same.
    MHDNN_DEVICE void stage(Neighbors neighbors, int first, SideTile& tile) {
        const int rest = neighbors.count - first;
        tile.count = rest < tile_ ? rest : tile_;
        share(tile.count, [&](int i) {
            const std::int64_t pair = neighbors.pair(first + i);
            Side<Real>& side = tile.sides[i];
            model_.vector(pair, side.x, side.y, side.z);
            side.u = direction_of(side.x, side.y, side.z);
            Real* radial = tile.radial + i * radial_row_;
            radial_values(model_.basis(), side.u.distance, radial, radial + shape_.num_radial);
            side.radial = radial;
            tile.elements[i] = model_.element(pair);
        });
    }

    MHDNN_DEVICE int element_pair(int d, int e) const {
        return d < e ? unordered_pair(d, e, shape_.num_elements) : unordered_pair(e, d, shape_.num_elements);
    }

    MHDNN_DEVICE Triangle<Real> triangle_of(Real* work) const {
        Real *third_slope = work + shape_.num_radial, *power = third_slope + shape_.num_radial;
        return {constant<Real>(T(0)), work, third_slope, power, power + shape_.num_powers};
    }

    /// Pair i of a tile of n neighbours is (i mod n, the one i / n + 1 places further on, as on a ring).
    MHDNN_DEVICE void add_pairs_of_one_tile() {
        const int size = first_.count;
        add_pairs(size * (size - 1) / 2, [&](int i, int work) {
            const int j = i % size, k = (j + i / size + 1) % size;
            prepare_triangle(first_, j, first_, k, work);
        });
    }

    MHDNN_DEVICE void add_pairs_of_two_tiles() {
        const int size = second_.count;
        add_pairs(
            first_.count * size, [&](int i, int work) { prepare_triangle(first_, i / size, second_, i % size, work); });
    }

    /// prepare(i, place) evaluates the triangle i into a place of the working space.
    template <class Prepare>
    MHDNN_DEVICE void add_pairs(int num_pairs, Prepare prepare) {
        for (int begin = 0; begin < num_pairs; begin += tile_) {
            const int rest = num_pairs - begin, count = rest < tile_ ? rest : tile_;
            if (begin > 0) __syncthreads();
            share(count, [&](int i) { prepare(begin + i, i); });
            __syncthreads();
            share(num_parts_ * shape_.num_angular, [&](int i) {
                add_triangles(count, i / shape_.num_angular, i % shape_.num_angular);
            });
        }
    }

    /// Leaves weights in the place of the third side's factors.
    MHDNN_DEVICE void prepare_triangle(const SideTile& tile_j, int j, const SideTile& tile_k, int k, int place) {
        Real* work = work_ + place * work_row_;
        Triangle<Real> triangle = triangle_of(work);
        evaluate_triangle(shape_, model_.basis(), tile_j.sides[j], tile_k.sides[k], triangle);
        for (int n = 0; n < shape_.num_radial; ++n) {
            work[n] = triangle_weight(shape_, triangle, tile_j.sides[j].radial, tile_k.sides[k].radial, n);
        }
        pair_elements_[place] = element_pair(tile_j.elements[j], tile_k.elements[k]);
    }

    MHDNN_DEVICE void add_triangles(int count, int part, int f) {
        const int weight = int(shape_.radial_index[f]), power = 2 * shape_.num_radial + int(shape_.power_index[f]);
        Real* sums = sums_ + part * sums_size() + f;
        add_by_group(part, count, num_parts_, pair_elements_, sums, shape_.num_angular, [&](int i) {
            const Real* work = work_ + i * work_row_;
            return work[weight] * work[power];
        });
    }

    MHDNN_DEVICE Gradient gradient_of(int j) const {
        Real* by_direction = work_ + j * work_row_ + triangle_numbers();
        Real* by_radial = by_direction + 6;
        Real* unused = by_radial + shape_.num_radial;
        return {by_direction, by_direction + 3, by_radial, unused, unused + shape_.num_radial};
    }

    /// A thread for each neighbour j, over all others: every triangle is evaluated for both of its neighbours, and
    /// no two threads write to the same place.
    MHDNN_DEVICE void gradients_of_tile(Neighbors neighbors, int first) {
        stage(neighbors, first, first_);
        share(first_.count, [&](int j) {
            Real* numbers = gradient_of(j).by_direction;
            for (int i = 0; i < 6 + 2 * shape_.num_radial; ++i) numbers[i] = constant<Real>(T(0));
        });
        __syncthreads();
        share(first_.count, [&](int j) { add_gradients(j, first_, j); });
        for (int second = 0; second < neighbors.count; second += tile_) {
            if (second == first) continue;
            __syncthreads();
            stage(neighbors, second, second_);
            __syncthreads();
            share(first_.count, [&](int j) { add_gradients(j, second_, -1); });
        }
        share(first_.count, [&](int j) { store_gradient(j, neighbors.pair(first + j)); });
    }

    MHDNN_DEVICE void add_gradients(int j, const SideTile& others, int itself) {
        const Side<Real> side = first_.sides[j];
        const Gradient gradient = gradient_of(j);
        Triangle<Real> triangle = triangle_of(work_ + j * work_row_);
        for (int k = 0; k < others.count; ++k) {
            if (k == itself) continue;
            const Side<Real>& other = others.sides[k];
            evaluate_triangle(shape_, model_.basis(), side, other, triangle);
            const Real* sum_gradient =
                sum_gradient_ + element_pair(first_.elements[j], others.elements[k]) * shape_.num_angular;
            const TriangleGradient<Real> by = triangle_gradient(
                shape_, triangle, side, other, sum_gradient, gradient.scratch, gradient.by_radial, gradient.unused);
            add(gradient.by_direction, by.by_cosine, other.u.x, other.u.y, other.u.z);
            if (!shape_.third_side) continue;
            add(gradient.by_vector, by.by_square * T(2), side.x - other.x, side.y - other.y, side.z - other.z);
        }
    }

    MHDNN_DEVICE static void add(Real* vector, Real factor, Real x, Real y, Real z) {
        vector[0] = vector[0] + factor * x;
        vector[1] = vector[1] + factor * y;
        vector[2] = vector[2] + factor * z;
    }

    MHDNN_DEVICE void store_gradient(int j, std::int64_t pair) {
        const Gradient gradient = gradient_of(j);
        const Real* slopes = first_.sides[j].radial + shape_.num_radial;
        const Real *by_u = gradient.by_direction, *by_r = gradient.by_vector;
        Real by_distance = constant<Real>(T(0)), x, y, z;
        for (int n = 0; n < shape_.num_radial; ++n) by_distance = by_distance + gradient.by_radial[n] * slopes[n];
        gradient_by_vector(first_.sides[j].u, by_distance, by_u[0], by_u[1], by_u[2], x, y, z);
        model_.store_gradient(pair, x + by_r[0], y + by_r[1], z + by_r[2]);
    }

    TripletShape given_, shape_;
    Model<Real> model_;
    int tile_, radial_row_, work_row_, num_parts_;
    std::int64_t* lists_;
    Real *sums_, *sum_gradient_, *by_pair_weight_;
    SideTile first_, second_;
    Real* work_;
    int* pair_elements_;
};

}  // namespace mhdnn::cuda
