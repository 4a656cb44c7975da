// All kernels that the operators launch, without torch.
#include "cuda/evaluate.cuh"

namespace mhdnn::cuda {

#define MHDNN_INSTANCE(Real, Shape, T)                                                         \
    template Plan plan_of<Real>(const Shape&, const Arguments<T>&, const Device&);             \
    template cudaError_t evaluate<Real>(const Shape&, const Arguments<T>&, std::int64_t, const Plan&, cudaStream_t);
#define MHDNN_INSTANCES(Shape)                 \
    MHDNN_INSTANCE(float, Shape, float)        \
    MHDNN_INSTANCE(Dual<float>, Shape, float)  \
    MHDNN_INSTANCE(double, Shape, double)      \
    MHDNN_INSTANCE(Dual<double>, Shape, double)

MHDNN_INSTANCES(RadialShape)
MHDNN_INSTANCES(MomentShape)
MHDNN_INSTANCES(TripletShape)

}  // namespace mhdnn::cuda
