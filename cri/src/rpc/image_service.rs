//! ImageService: each method by name.

use husk_cri_api::image_service_server::ImageService;
use husk_cri_api::{
    ImageFsInfoRequest, ImageFsInfoResponse, ImageStatusRequest, ImageStatusResponse, ListImagesRequest,
    ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest, RemoveImageResponse,
    StreamImagesRequest, StreamImagesResponse,
};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::{Service, call};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ImageService for Service {
    async fn list_images(&self, request: Request<ListImagesRequest>) -> Reply<ListImagesResponse> {
        call!(self, list_images, request)
    }

    async fn image_status(&self, request: Request<ImageStatusRequest>) -> Reply<ImageStatusResponse> {
        call!(self, image_status, request)
    }

    async fn pull_image(&self, request: Request<PullImageRequest>) -> Reply<PullImageResponse> {
        call!(self, pull_image, request)
    }

    async fn remove_image(&self, request: Request<RemoveImageRequest>) -> Reply<RemoveImageResponse> {
        call!(self, remove_image, request)
    }

    async fn image_fs_info(&self, request: Request<ImageFsInfoRequest>) -> Reply<ImageFsInfoResponse> {
        call!(self, image_fs_info, request)
    }

    type StreamImagesStream = BoxStream<StreamImagesResponse>;

    async fn stream_images(&self, _request: Request<StreamImagesRequest>) -> Reply<Self::StreamImagesStream> {
        call!(none "StreamImages")
    }
}
