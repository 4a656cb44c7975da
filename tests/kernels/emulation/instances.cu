// All kernels that the operators launch, without torch.
#include "cuda/evaluate.cuh"

namespace mhdnn::cuda {

#define MHDNN_INSTANCE(Real, Shape, T)                                                           \
    template Plan plan_of<Real>(const Shape&, const Arguments<T>&, std::int64_t, const Device&); \
    template cudaError_t evaluate<Real>(const Shape&, const Arguments<T>&, std::int64_t, const Plan&, cudaStream_t);
#define MHDNN_INSTANCES(Shape)                \
    MHDNN_INSTANCE(float, Shape, float)       \
    MHDNN_INSTANCE(Dual<float>, Shape, float) \
    MHDNN_INSTANCE(double, Shape, double)     \
    MHDNN_INSTANCE(Dual<double>, Shape, double)

MHDNN_INSTANCES(RadialShape)
MHDNN_INSTANCES(MomentShape)
MHDNN_INSTANCES(TripletShape)

#define MHDNN_CONTRACTED_INSTANCES(Real, T)                                                             \
    template Plan plan_of<Real>(const DensityShape&, const Arguments<T>&, std::int64_t, const Device&); \
    template cudaError_t evaluate_densities<Real>(                                                      \
        const DensityShape&, const Arguments<T>&, std::int64_t, const Plan&, cudaStream_t);             \
    template Plan plan_of<Real>(const InvariantShape&, const InvariantArguments<T>&, const Device&);    \
    template cudaError_t evaluate_invariants<Real>(                                                     \
        const InvariantShape&, const InvariantArguments<T>&, const Plan&, cudaStream_t);

MHDNN_CONTRACTED_INSTANCES(float, float)
MHDNN_CONTRACTED_INSTANCES(Dual<float>, float)
MHDNN_CONTRACTED_INSTANCES(double, double)
MHDNN_CONTRACTED_INSTANCES(Dual<double>, double)

}  // namespace mhdnn::cuda
