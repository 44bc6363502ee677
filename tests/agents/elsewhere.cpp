/* A device for tests, "elsewhere": its memory and its arithmetic are the processor's, but as on a GPU no numpy array is
made of its tensors, and an operation on tensors of both is refused. After PyTorch's own test of devices from outside
(test/cpp_extensions/open_registration_extension.cpp). */

#include <ATen/ATen.h>
#include <ATen/CPUFunctions.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

namespace {
constexpr auto KEY = c10::DispatchKey::PrivateUse1;
constexpr auto TYPE = c10::DeviceType::PrivateUse1;
using Sizes = c10::IntArrayRef;
template <typename T> using Maybe = std::optional<T>;

struct Allocator final : c10::Allocator {
    c10::DataPtr allocate(size_t size) override {
        void *data = c10::GetCPUAllocator()->raw_allocate(size);
        return {data, data, raw_deleter(), c10::Device(TYPE, 0)};
    }
    c10::DeleterFnPtr raw_deleter() const override {
        return [](void *each) { c10::GetCPUAllocator()->raw_deallocate(each); };
    }
    void copy_data(void *to, const void *from, std::size_t size) const override { default_copy_data(to, from, size); }
};
Allocator allocator;
REGISTER_ALLOCATOR(TYPE, &allocator);

struct Guard final : c10::impl::DeviceGuardImplInterface {
    c10::DeviceType type() const override { return TYPE; }
    c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
    c10::Device getDevice() const override { return {TYPE, 0}; }
    void setDevice(c10::Device) const override {}
    void uncheckedSetDevice(c10::Device) const noexcept override {}
    c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, getDevice()); }
    c10::Stream exchangeStream(c10::Stream) const override { return getStream(getDevice()); }
    c10::DeviceIndex deviceCount() const noexcept override { return 1; }
    void record(void **, const c10::Stream &, const c10::DeviceIndex, const c10::EventFlag) const override {}
    void block(void *, const c10::Stream &) const override {}
    bool queryEvent(void *) const override { return true; }
    void destroyEvent(void *, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    const at::Generator &getDefaultGenerator(c10::DeviceIndex) const override {
        return at::detail::getDefaultCPUGenerator();
    }
};
const bool hooked = (at::RegisterPrivateUse1HooksInterface(new Hooks), true);

at::Tensor on_processor(const at::Tensor &own) {
    if (own.device().type() != TYPE) return own;
    return at::from_blob(own.data_ptr(), own.sizes(), own.strides(), own.options().device(c10::kCPU));
}

at::Tensor empty(Sizes size, Maybe<c10::ScalarType> dtype, Maybe<c10::Layout>, Maybe<c10::Device>, Maybe<bool>,
                 Maybe<c10::MemoryFormat> format) {
    const c10::DispatchKeySet keys(KEY);
    return at::detail::empty_generic(size, &allocator, keys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(Sizes size, Sizes stride, Maybe<c10::ScalarType> dtype, Maybe<c10::Layout>, Maybe<c10::Device>,
                         Maybe<bool>) {
    const c10::DispatchKeySet keys(KEY);
    return at::detail::empty_strided_generic(size, stride, &allocator, keys, c10::dtype_or_default(dtype));
}

at::Tensor copy_from(const at::Tensor &from, const at::Tensor &to, bool) {
    on_processor(to).copy_(on_processor(from));
    return to;
}

at::Tensor copy_from_and_resize(const at::Tensor &from, const at::Tensor &to) {
    to.resize_(from.sizes());
    return copy_from(from, to, false);
}

at::Tensor as_strided(const at::Tensor &self, Sizes size, Sizes stride, Maybe<int64_t> offset) {
    auto view = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(self.storage()),
                                                         self.key_set(), self.dtype());
    at::native::setStrided(view, size, stride, offset.value_or(self.storage_offset()));
    return view;
}

const at::Tensor &resize(const at::Tensor &self, Sizes size, Maybe<c10::MemoryFormat>) {
    if (self.sizes() == size) return self;
    const auto &storage = self.storage();
    size_t bytes = (c10::multiply_integers(size) + self.storage_offset()) * self.element_size();
    if (bytes > storage.nbytes()) {
        auto larger = allocator.allocate(bytes);
        if (storage.nbytes()) memcpy(larger.get(), storage.data(), storage.nbytes());
        storage.set_data_ptr_noswap(std::move(larger));
        storage.unsafeGetStorageImpl()->set_nbytes(bytes);
    }
    self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
    return self;
}

at::Tensor &set(at::Tensor &self, c10::Storage source, int64_t offset, Sizes size, Sizes stride) {
    return at::cpu::set_(self, source, offset, size, stride);
}

at::Tensor &set_all(at::Tensor &self, c10::Storage source) {
    const int64_t size = source.nbytes() / self.element_size();
    return set(self, source, 0, {size}, {});
}

/* All other operations. Single numbers may lie anywhere, as for a GPU. */
void by_processor(const c10::OperatorHandle &op, c10::DispatchKeySet, torch::jit::Stack *stack) {
    const auto refuse = [&](const at::Tensor &each) {
        TORCH_CHECK(!each.defined() || !each.dim() || each.device().type() == TYPE,
                    "Expected all tensors to be on the same device, but ", op.schema().name(), " got one on ",
                    each.device());
    };
    for (const auto &given : torch::jit::last(*stack, op.schema().arguments().size())) {
        if (given.isTensor()) refuse(given.toTensor());
        if (given.isTensorList())
            for (const at::Tensor &each : given.toTensorList()) refuse(each);
    }
    at::native::cpu_fallback(op, stack);
}
} // namespace

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
    library.impl("empty.memory_format", empty);
    library.impl("empty_strided", empty_strided);
    library.impl("_copy_from", copy_from);
    library.impl("_copy_from_and_resize", copy_from_and_resize);
    library.impl("as_strided", as_strided);
    library.impl("view", at::native::view);
    library.impl("_reshape_alias", at::native::_reshape_alias);
    library.impl("resize_", resize);
    library.impl("set_.source_Storage", set_all);
    library.impl("set_.source_Storage_storage_offset", set);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
    library.fallback(torch::CppFunction::makeFromBoxedFunction<&by_processor>());
}
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, library) { library.fallback(torch::CppFunction::makeFallthrough()); }
